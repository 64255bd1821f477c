package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/harness"
)

const (
	pairedRuns    = 300
	deadEndpoints = 100
	deadRuns      = 20
)

// hanging takes connections and answers nothing, until the test ends.
func hanging(t *testing.T) string {
	t.Helper()
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-over:
		}
	}))
	t.Cleanup(func() {
		close(over)
		server.Close()
	})
	return server.URL
}

// refusing is an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return url
}

func webhook(t *testing.T, x *harness.Tenant, url string, events ...string) {
	t.Helper()
	x.Do(t, "POST", "/v1/webhooks", map[string]any{"url": url, "events": events}).Want(t, 201)
}

// A run of a tenant whose webhook is down, in turns with one of a tenant that has none.
func TestADownWebhook(t *testing.T) {
	for _, kind := range []string{"refuses connections", "hangs"} {
		s := harness.NewSystem(t)
		p := s.Start(t, harness.All)
		without, with := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
		url := refusing(t)
		if kind == "hangs" {
			url = hanging(t)
		}
		webhook(t, with, url, "run_completed", "run_error")
		var plain, down []time.Duration
		for i := range pairedRuns + 20 {
			first := rand.IntN(2) // by chance: what a run leaves behind falls upon either
			for j := range 2 {
				x, into := without, &plain
				if (first+j)%2 == 1 {
					x, into = with, &down
				}
				run, _, took := lari(t, x)
				closed(t, s, x, run)
				if i >= 20 { // warm-up
					*into = append(*into, took)
				}
			}
		}
		report("POST to run_completed, no webhook", plain)
		report("POST to run_completed, a webhook that "+kind, down)
		ratio("run with a webhook that "+kind+" / without one, p50", quantile(down, .5), quantile(plain, .5), 1.05)
		if err := p.Stop(); err != nil {
			t.Log(err)
		}
	}
}

// From the end of a run until a live endpoint has heard of it, alone and beside a hundred that hang, of the
// same tenant.
func TestAHundredDeadWebhooks(t *testing.T) {
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	alone, crowded := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	dead := hanging(t)
	for i := range deadEndpoints - 1 { // one more is the live one: a tenant has a hundred
		webhook(t, crowded, fmt.Sprintf("%s/%d", dead, i), "run_completed")
	}
	heard := map[*harness.Tenant]chan uuid.UUID{}
	for _, x := range []*harness.Tenant{alone, crowded} {
		took := make(chan uuid.UUID, 64)
		heard[x] = took
		live := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			var m struct {
				Data struct {
					RunID uuid.UUID `json:"run_id"`
				} `json:"data"`
			}
			body, err := io.ReadAll(r.Body)
			if err == nil {
				err = json.Unmarshal(body, &m)
			}
			if err != nil {
				t.Error(err)
			}
			took <- m.Data.RunID
		}))
		t.Cleanup(live.Close)
		webhook(t, x, live.URL, "run_completed")
	}
	delay := func(x *harness.Tenant) time.Duration {
		var r harness.Run
		x.Do(t, "POST", "/v1/runs/wait", `{"input": "hello"}`).Want(t, 200, &r)
		began := time.Now()
		for {
			select {
			case id := <-heard[x]:
				if id == r.ID {
					return time.Since(began)
				}
			case <-time.After(time.Minute):
				t.Fatal("the live webhook heard nothing for a minute")
			}
		}
	}
	var quiet, busy []time.Duration
	for range deadRuns {
		quiet = append(quiet, delay(alone))
	}
	for range deadRuns {
		busy = append(busy, delay(crowded))
	}
	report("end of run to live webhook, alone", quiet)
	report(fmt.Sprintf("the same beside %d that hang", deadEndpoints-1), busy)
	fmt.Printf("DELAY by %d dead webhooks: p50 %.0f ms, worst %.0f ms (at most 2000 ms)\n", deadEndpoints-1,
		ms(quantile(busy, .5)-quantile(quiet, .5)), ms(quantile(busy, 1)-quantile(quiet, .5)))
}
