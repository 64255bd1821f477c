package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
)

// startAdmin starts a server on a free port; it is closed with the test.
func startAdmin(t *testing.T, o AdminOptions) *Admin {
	t.Helper()
	o.Addr = "127.0.0.1:0"
	a := NewAdmin(o)
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return a
}

func ask(t *testing.T, method, url string) (status int, body string, header http.Header) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content), response.Header
}

func TestAdminServes(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	m.Runs.Started("acme", "run-1", time.Second)
	a := startAdmin(t, AdminOptions{Metrics: m.Handler(), Ready: func(context.Context) error { return nil }, Log: discard()})
	for _, c := range []struct {
		method, path string
		status       int
		holds        string
	}{
		{"GET", "/healthz", 200, "ok\n"},
		{"HEAD", "/healthz", 200, ""},
		{"GET", "/readyz", 200, "ok\n"},
		{"GET", "/metrics", 200, `lari_runs_started_total{tenant_id="acme"} 1`},
		{"GET", "/metrics", 200, "go_goroutines"},
		{"GET", "/debug/pprof/", 200, "goroutine"},
		{"GET", "/debug/pprof/goroutine?debug=1", 200, "goroutine profile:"},
		{"GET", "/debug/pprof/heap", 200, ""},
		{"GET", "/debug/pprof/cmdline", 200, ""},
		{"GET", "/debug/pprof/symbol", 200, "num_symbols"},
		{"GET", "/debug/pprof/profile?seconds=1", 200, ""},
		{"GET", "/debug/pprof/nothing", 404, ""},
		{"GET", "/", 404, ""},
		{"GET", "/v1/runs", 404, ""},
		{"POST", "/metrics", 405, ""},
		{"DELETE", "/healthz", 405, ""},
	} {
		status, body, _ := ask(t, c.method, "http://"+a.Addr()+c.path)
		if status != c.status || !strings.Contains(body, c.holds) {
			t.Errorf("%s %s: %d %.200s", c.method, c.path, status, body)
		}
	}
}

func TestAdminReadiness(t *testing.T) {
	t.Parallel()
	var state atomic.Pointer[error]
	var lines bytes.Buffer
	a := startAdmin(t, AdminOptions{
		Metrics: http.NotFoundHandler(),
		Log:     NewLogger(&lines, slog.LevelInfo, "json"),
		Ready: func(ctx context.Context) error {
			if _, bounded := ctx.Deadline(); !bounded {
				return errors.New("without a deadline")
			}
			if err := state.Load(); err != nil {
				return *err
			}
			return nil
		},
	})
	for _, c := range []struct {
		err    error
		status int
		body   string
	}{
		{nil, 200, "ok\n"},
		{fault.Wrap(errors.New("dial 10.0.0.1"), fault.Unavailable, "Postgres cannot be reached"), 503, "Postgres cannot be reached\n"},
		{errors.New("dial 10.0.0.1"), 503, "not ready\n"},
	} {
		state.Store(nil)
		if c.err != nil {
			state.Store(&c.err)
		}
		status, body, header := ask(t, "GET", "http://"+a.Addr()+"/readyz")
		if status != c.status || body != c.body || header.Get("Cache-Control") != "no-store" {
			t.Errorf("with %v: %d %q", c.err, status, body)
		}
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(lines.String(), "dial 10.0.0.1") {
		t.Error("the cause was not logged")
	}
}

func TestAdminRefusesTakenAddress(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	a := NewAdmin(AdminOptions{Addr: taken.Addr().String(), Metrics: http.NotFoundHandler(), Log: discard()})
	if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("Start = %v", err)
	}
	if a.Addr() != "" {
		t.Error("a server that does not listen has an address")
	}
	if err := a.Close(t.Context()); err != nil { // goleak sees what is left
		t.Error(err)
	}
}

// A request that does not end must not keep the process from ending.
func TestAdminCloseCutsOff(t *testing.T) {
	t.Parallel()
	entered, gone := make(chan struct{}), make(chan struct{})
	a := startAdmin(t, AdminOptions{
		Log: discard(),
		Metrics: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
			close(gone)
		}),
	})
	answered := make(chan error, 1)
	go func() {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Addr()+"/metrics", http.NoBody)
		if err == nil {
			var response *http.Response
			if response, err = (&http.Transport{DisableKeepAlives: true}).RoundTrip(request); err == nil {
				err = response.Body.Close()
			}
		}
		answered <- err
	}()
	<-entered
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Close(ended); err != nil {
		t.Error(err)
	}
	<-gone
	if err := <-answered; err == nil {
		t.Error("the request was answered")
	}
}

// Every answer has the headers, also those that no route makes, and framing is as strict as the API's.
func TestAdmin_SecuresEveryAnswer(t *testing.T) {
	t.Parallel()
	a := startAdmin(t, AdminOptions{Metrics: New(Options{}).Handler(), Ready: func(context.Context) error { return errors.New("no") }, Log: discard()})
	for _, c := range [][2]string{{"GET", "/healthz"}, {"GET", "/readyz"}, {"GET", "/metrics"}, {"GET", "/debug/pprof/"}, {"GET", "/nothing"}, {"PUT", "/metrics"}, {"GET", "/debug/pprof/nothing"}} {
		_, _, h := ask(t, c[0], "http://"+a.Addr()+c[1])
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
			if got := h.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s %s: %s is %q", c[0], c[1], name, got)
			}
		}
		if p := h.Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none'") {
			t.Errorf("%s %s: Content-Security-Policy is %q", c[0], c[1], p)
		}
	}
	conn, err := net.Dial("tcp", a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, err = io.WriteString(conn, "GET /healthz HTTP/1.1\nHost: x\n\n") // net/http alone takes a bare LF
	all, _ := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 400 ") || strings.Contains(string(all), "200 OK") {
		t.Errorf("%v, %q", err, all)
	}
}
