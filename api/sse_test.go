package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

// sink is the client's end of a stream in a test without a network.
type sink struct {
	bytes.Buffer
	breaks int // at which write the client is gone; 0: never
	writes int
	moved  int // how often the deadline was moved
}

func (s *sink) Write(p []byte) (int, error) {
	if s.writes++; s.writes == s.breaks {
		return 0, io.ErrClosedPipe
	}
	return s.Buffer.Write(p)
}

func (s *sink) stream() *sse {
	return &sse{w: bufio.NewWriter(s), heartbeat: 15 * time.Second, extend: func() error { s.moved++; return nil }}
}

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out sink
		err := out.stream().run(t.Context(), func(_ context.Context, send func(...Frame) error) error {
			time.Sleep(31 * time.Second) // of the bubble
			return send(Frame{ID: 1, Event: "a", Data: []byte(`1`)}, Frame{ID: 2, Event: "b", Data: []byte(`2`)})
		})
		want := streamPreamble + heartbeatLine + heartbeatLine + "id: 1\nevent: a\ndata: 1\n\nid: 2\nevent: b\ndata: 2\n\n"
		if err != nil || out.String() != want {
			t.Errorf("%v, %q", err, out.String())
		}
		if out.moved != 4 { // preamble, two heartbeats, one batch
			t.Errorf("the deadline was moved %d times", out.moved)
		}
	})
}

func TestDeadClientEndsASilentSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := sink{breaks: 2} // the first heartbeat
		began := time.Now()
		var cause, sent error
		err := out.stream().run(t.Context(), func(ctx context.Context, send func(...Frame) error) error {
			<-ctx.Done()
			cause, sent = context.Cause(ctx), send(Frame{Data: []byte(`1`)})
			return ctx.Err()
		})
		if !errors.Is(err, errClientGone) || !errors.Is(cause, errClientGone) || !errors.Is(sent, errClientGone) {
			t.Errorf("run gives %v, the source saw %v and %v", err, cause, sent)
		}
		if took := time.Since(began); took != 15*time.Second {
			t.Errorf("noticed after %v, want one heartbeat", took)
		}
	})
}

func TestSourceFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out sink
		var p *panicError
		if err := out.stream().run(t.Context(), func(context.Context, func(...Frame) error) error { panic("boom") }); !errors.As(err, &p) {
			t.Errorf("a panic gives %v", err)
		}
		err := out.stream().run(t.Context(), func(_ context.Context, send func(...Frame) error) error {
			return send(Frame{Event: "a\nb"})
		})
		if !errors.Is(err, errBadEvent) || strings.Contains(out.String(), "a\nb") {
			t.Errorf("a forged event gives %v, %q", err, out.String())
		}
	})
}

// streamRoutes has a stream that counts on, from the place the caller names, until told to stop.
func streamRoutes(more <-chan int, ended chan<- error) []Route {
	return []Route{Stream("GET", "/v1/things/{thing_id}/stream", auth.RunRead, meta("streamThing"),
		func(ctx context.Context, in *follow) (Source, error) {
			Locate(ctx, "/v1/things/"+in.ThingID.String())
			after := in.Position()
			switch after {
			case 99:
				return nil, nil
			case 404:
				return nil, fault.New(fault.NotFound, "There is no such thing.")
			}
			return func(ctx context.Context, send func(...Frame) error) (err error) {
				defer func() { ended <- err }()
				for {
					select {
					case n, ok := <-more:
						if !ok {
							return nil
						}
						after++
						if err := send(Frame{ID: after, Event: "counted", Data: []byte(`{"n":` + strings.Repeat("1", n) + `}`)}); err != nil {
							return err
						}
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				}
			}, nil
		})}
}

func (r *rig) open(t *testing.T, path string, header map[string]string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token(t, auth.RoleViewer))
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestStream(t *testing.T) {
	t.Parallel()
	more, ended := make(chan int), make(chan error, 1)
	r := start(t, streamRoutes(more, ended))
	resp := r.open(t, "/v1/things/"+thingID+"/stream?after=3", map[string]string{"Last-Event-ID": "7"}) // headers come before any event
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no",
		"X-Tenant-Id": r.tenant.String(), "Location": "/v1/things/" + thingID,
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	lines := bufio.NewReader(resp.Body)
	read := func() string {
		t.Helper()
		var event string
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if event += line; line == "\n" {
				return event
			}
		}
	}
	if got := read(); got != streamPreamble {
		t.Errorf("the stream begins with %q", got)
	}
	for _, want := range []string{"id: 8\nevent: counted\ndata: {\"n\":1}\n\n", "id: 9\nevent: counted\ndata: {\"n\":1}\n\n"} {
		more <- 1
		if got := read(); got != want { // each event arrives before the next is sent
			t.Errorf("got %q", got)
		}
	}
	close(more)
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestStreamRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, streamRoutes(nil, make(chan error, 9)))
	path := "/v1/things/" + thingID + "/stream"
	for name, c := range map[string]struct {
		query, last string
		code        fault.Code
		field       string
	}{
		"not a number":      {"?after=x", "", fault.Malformed, "after"},
		"negative":          {"?after=-1", "", fault.Malformed, "after"},
		"signed":            {"?after=%2B1", "", fault.Malformed, "after"},
		"empty":             {"?after=", "", fault.Malformed, "after"},
		"too great":         {"?after=9223372036854775808", "", fault.Malformed, "after"},
		"header, no number": {"?after=1", "abc", fault.Malformed, "Last-Event-ID"},
		"found out later":   {"?after=404", "", fault.NotFound, ""},
	} {
		a := r.do(t, request{method: "GET", path: path + c.query, role: auth.RoleViewer, header: map[string]string{"Last-Event-ID": c.last}})
		p := a.problem(t, c.code)
		if c.field != "" && (len(p.Errors) != 1 || p.Errors[0].Field != c.field) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if a := r.do(t, request{method: "GET", path: path + "?after=99", role: auth.RoleViewer}); a.status != 204 {
		t.Errorf("a stream that has ended answers %d", a.status)
	}
	if a := r.do(t, request{method: "HEAD", path: path, role: auth.RoleViewer}); a.status != 200 || a.header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Errorf("HEAD answers %+v", a)
	}
}

func TestStreamEndsWithItsClient(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	r := start(t, streamRoutes(nil, ended), func(d *Deps) { d.Config.Heartbeat = 20 * time.Millisecond })
	resp := r.open(t, "/v1/things/"+thingID+"/stream", nil)
	_ = resp.Body.Close()
	if err := <-ended; !errors.Is(err, errClientGone) {
		t.Errorf("the source ended with %v", err)
	}
}

// TestSlowClient takes nothing: the write deadline cuts it off, and the source with it.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	more, ended := make(chan int), make(chan error, 1)
	r := start(t, streamRoutes(more, ended), func(d *Deps) {
		d.Config.WriteTimeout, d.Config.Heartbeat = 300*time.Millisecond, 200*time.Millisecond
	})
	r.open(t, "/v1/things/"+thingID+"/stream", nil)
	for {
		select {
		case more <- 1 << 20:
		case err := <-ended:
			if !errors.Is(err, errClientGone) {
				t.Errorf("the source ended with %v", err)
			}
			return
		}
	}
}

func TestStreamEndsWithTheCredential(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	r := start(t, streamRoutes(nil, ended))
	token, err := auth.Mint(secret, auth.MintConfig{Tenant: r.tenant, Role: auth.RoleViewer, Subject: "ada", TTL: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	resp := r.open(t, "/v1/things/"+thingID+"/stream", map[string]string{"Authorization": "Bearer " + token})
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Error(err)
	}
	if err := <-ended; !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the source ended with %v", err)
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	entered, release, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	slow := Handle("GET", "/v1/slow", auth.Public, meta("slow"), func(context.Context, *None) (None, error) {
		close(entered)
		<-release
		return None{}, nil
	})
	r := start(t, append(streamRoutes(nil, ended), slow))
	resp := r.open(t, "/v1/things/"+thingID+"/stream", nil)
	answered := make(chan int, 1)
	go func() { answered <- r.do(t, request{method: "GET", path: "/v1/slow"}).status }()
	<-entered
	down := make(chan error, 1)
	go func() { down <- r.Shutdown(t.Context()) }()
	if err := <-ended; !errors.Is(err, errShutdown) {
		t.Errorf("the source ended with %v", err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("the stream does not end cleanly: %v", err)
	}
	select {
	case err := <-down:
		t.Errorf("the server did not wait for a request: %v", err)
	default:
	}
	close(release)
	if status := <-answered; status != 204 {
		t.Errorf("the request under way was answered with %d", status)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

func TestShutdownEndsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	stuck := Handle("GET", "/v1/stuck", auth.Public, meta("stuck"), func(ctx context.Context, _ *None) (None, error) {
		close(entered)
		<-ctx.Done()
		return None{}, ctx.Err()
	})
	r := start(t, []Route{stuck})
	answered := make(chan answer, 1)
	go func() { answered <- r.do(t, request{method: "GET", path: "/v1/stuck"}) }()
	<-entered
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := r.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown gives %v", err)
	}
	a := <-answered
	a.problem(t, fault.Unavailable)
}
