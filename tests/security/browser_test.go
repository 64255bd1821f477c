package security

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/harness"
)

// pageScript follows a run as docs/streams.md has it: with fetch, since EventSource sends no Authorization. What it
// saw goes back to the page's own server.
const pageScript = `<!doctype html><meta charset="utf-8"><script type="module">
const api = %q, token = %q
const report = r => fetch("/result", {method: "POST", body: JSON.stringify(r)})

async function* follow(url, options) {
  const response = await fetch(url, options)
  if (response.status === 204) return
  if (!response.ok) throw new Error((await response.json()).detail)
  seen.location ||= response.headers.get("location")
  seen.request ||= response.headers.get("x-request-id")
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  for (let rest = ""; ;) {
    const {value, done} = await reader.read()
    if (done) return
    const parts = (rest + value).split("\n\n")
    rest = parts.pop()
    for (const part of parts) {
      const fields = Object.fromEntries(part.split("\n").map(l => [l.slice(0, l.indexOf(":")), l.slice(l.indexOf(":") + 2)]))
      if (fields.data) yield {id: fields.id, event: fields.event, data: JSON.parse(fields.data)}
    }
  }
}

const seen = {events: [], again: []}
const headers = {authorization: "Bearer " + token, "content-type": "application/json", "idempotency-key": crypto.randomUUID()}
try {
  for await (const e of follow(api + "/v1/runs/stream", {method: "POST", headers, body: JSON.stringify({input: "hello"})})) seen.events.push(e.event)
  for await (const e of follow(api + seen.location + "/stream", {headers: {...headers, "last-event-id": "1"}})) seen.again.push(e.event)
  const missing = await fetch(api + "/v1/runs/0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f", {headers})
  seen.missing = (await missing.json()).code
} catch (e) { seen.error = String(e) }
report(seen)
</script>`

type pageReport struct {
	Events   []string `json:"events"`
	Again    []string `json:"again"`
	Location string   `json:"location"`
	Request  string   `json:"request"`
	Missing  string   `json:"missing"`
	Error    string   `json:"error"`
}

// TestBrowser_FollowsARunFromAnotherOrigin opens a page in Chromium; it is left out where there is none.
func TestBrowser_FollowsARunFromAnotherOrigin(t *testing.T) {
	t.Parallel()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium on this machine: that browsers can call the API is not tried")
	}
	s := harness.NewSystem(t)
	reports := map[string]chan pageReport{"allowed": make(chan pageReport, 1), "other": make(chan pageReport, 1)}
	var script string
	servers := map[string]*httptest.Server{}
	for name, reported := range reports {
		servers[name] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/result" {
				w.Header().Set("Content-Type", "text/html")
				_, _ = fmt.Fprint(w, script)
				return
			}
			var got pageReport
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
				t.Error(err)
			}
			reported <- got
		}))
		t.Cleanup(servers[name].Close)
	}
	cfg := s.Config
	cfg.CORSOrigins = []string{servers["allowed"].URL}
	p := s.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, agents.Config{})
	script = fmt.Sprintf(pageScript, p.URL, x.Token)
	open := func(name string) pageReport {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), 90*time.Second)
		defer stop()
		cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync", //nolint:gosec // found on PATH
			"--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--user-data-dir="+t.TempDir(), servers[name].URL)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { stop(); _ = cmd.Wait() }()
		select {
		case got := <-reports[name]:
			return got
		case <-ctx.Done():
			t.Fatalf("the page of the %s origin reports nothing", name)
			return pageReport{}
		}
	}
	got := open("allowed")
	if got.Error != "" || len(got.Events) < 3 || got.Events[0] != "run_started" || got.Events[len(got.Events)-1] != "run_completed" ||
		!slices.Equal(got.Again, got.Events[1:]) || !strings.HasPrefix(got.Location, "/v1/runs/") || got.Request == "" || got.Missing != "not_found" {
		t.Errorf("the page saw %+v", got)
	}
	if got := open("other"); !strings.Contains(got.Error, "Failed to fetch") || len(got.Events) > 0 {
		t.Errorf("a page of another origin saw %+v", got)
	}
	if n := count(t, s, x, "agent_runs"); n != 1 {
		t.Errorf("there are %d runs: the preflight of the other origin did not hold its request back", n)
	}
}
