package security

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// TestHeaders_OnEveryAnswer ranges over all routes, with and without a credential, and over what no route answers.
func TestHeaders_OnEveryAnswer(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	viewer, nobody := *x, p.Nobody(t)
	token, err := auth.Mint([]byte(harness.Secret), auth.MintConfig{Tenant: x.ID, Role: auth.RoleViewer, Subject: "viewer", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	viewer.Token = token
	check := func(by *harness.Tenant, method, path, body string, more map[string][]string) {
		t.Helper()
		wantWellFormed(t, method+" "+path, send(t, by, method, path, body, more))
	}
	for _, o := range operations(t, x) {
		path := placeholder.ReplaceAllStringFunc(o.path, func(string) string { return uuid.NewString() })
		if o.method == "POST" && strings.HasPrefix(o.path, "/v1/control") {
			continue // the other tests of this system want it to go on
		}
		for _, by := range []*harness.Tenant{nobody, &viewer, x} {
			check(by, o.method, path, "{}", nil)
			check(by, o.method, path, "{", nil)
		}
		check(x, "OPTIONS", path, "", nil)
		wantSecure(t, "HEAD "+path, send(t, x, "HEAD", path, "", nil).Header)
	}
	for _, path := range []string{"/docs", "/docs/start.js", "/docs/nothing", "/v1/openapi.json", "/problems/not_found", "/problems/nothing", "/nothing", "/v1/runs/x/../y", "/%zz"} {
		if _, err := http.NewRequest(http.MethodGet, p.URL+path, nil); err == nil {
			check(nobody, "GET", path, "", nil)
		}
	}
	check(x, "DELETE", "/v1/runs", "", nil)
	check(x, "PROPFIND", "/v1/runs", "", nil)
	check(x, "POST", "/v1/runs", "x", map[string][]string{"Content-Type": {"text/plain"}})
	check(x, "POST", "/v1/runs", `"`+strings.Repeat("x", 2<<20)+`"`, nil)
	check(x, "GET", "/v1/runs", "", map[string][]string{"X-Big": {strings.Repeat("x", 20<<10)}})
	run := x.StartRun(t, `{"input": "hello"}`)
	stream := x.Follow(t, run.ID, 0)
	stream.Rest(t)
	wantSecure(t, "a stream", stream.Header)

	for name, text := range map[string]string{
		"ambiguous framing": "GET /v1/runs HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"not HTTP":          "hello\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = conn.Write([]byte(text))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantSecure(t, name, resp.Header)
		_ = resp.Body.Close()
		_ = conn.Close()
	}
}

// TestHTTPGet_ObeysTheSettingOfPlainHTTP: what webhooks may not do, a model may not either.
func TestHTTPGet_ObeysTheSettingOfPlainHTTP(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(site.Close)
	s := harness.NewSystem(t, fakellm.Rule{Turn: fakellm.FirstTurn, Reply: fakellm.Reply{
		ToolCalls: []fakellm.ToolCall{{Name: "http_get", Arguments: `{"url":"` + site.URL + `"}`}},
	}})
	cfg := s.Config
	cfg.EgressAllowHTTP = false
	x := s.StartWith(t, cfg, harness.All).NewTenant(t, agents.Config{Tools: []agents.ToolRef{{Name: "http_get"}}})
	events := x.Follow(t, x.StartRun(t, `{"input": "read it"}`).ID, 0).Until(t, event.ToolCallCompleted)
	if said := string(events[len(events)-1].Data); !strings.Contains(said, "unencrypted http is not allowed") || calls.Load() != 0 {
		t.Errorf("the tool says %s, the site was called %d times", said, calls.Load())
	}
}
