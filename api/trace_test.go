package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/tests/collector"
)

// Refusals, invented paths and methods, failures and panics are spans as well; probes are not. A caller's words in the
// path and in the query are in none.
func TestEveryRequestIsASpan(t *testing.T) {
	t.Parallel()
	spans := collector.New(t)
	tracer, err := tracing.New(t.Context(), tracing.Options{
		Endpoint: spans.URL, Service: "lari", Sampler: tracing.ParentAlwaysOn, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	run := uuid.Must(uuid.NewV7())
	type in struct {
		RunID uuid.UUID `path:"run_id"`
		Q     string    `query:"q"`
	}
	meta := func(id string) Meta { return Meta{ID: id, Tag: "runs", Summary: "Do it"} }
	r := start(t, []Route{
		Handle("GET", "/v1/runs/{run_id}/fail", auth.RunRead, meta("fail"), func(context.Context, *in) (None, error) {
			return None{}, fault.New(fault.Unavailable, "It is away.")
		}),
		Handle("GET", "/v1/runs/{run_id}/panic", auth.RunRead, meta("panic"), func(context.Context, *in) (None, error) { panic("marker-panic") }),
		Handle("GET", "/v1/runs/{run_id}/fine", auth.RunRead, meta("fine"), func(context.Context, *in) (None, error) { return None{}, nil }),
	}, func(d *Deps) { d.Tracer = tracer })
	token := "Bearer " + r.token(t, auth.RoleViewer)
	ask := func(method, path, token, parent string) {
		req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", token)
		req.Header.Set("traceparent", parent)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	below := "/v1/runs/" + run.String()
	ask("GET", below+"/fine", token, "")
	ask("GET", below+"/fail?q=marker-query", token, "")
	ask("GET", below+"/panic", token, "garbage")
	ask("HEAD", below+"/fine", "Bearer marker-token", "00-00000000000000000000000000000000-0000000000000000-01")
	ask("GET", "/v1/marker-path", token, "")
	ask("BREW", "/v1/marker-path", token, "")
	ask("GET", "/healthz", token, "")
	if err := tracer.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}

	got := map[string]collector.Span{}
	for _, s := range spans.Spans() {
		got[s.Name] = s
		if strings.Contains(s.Text, "marker") {
			t.Errorf("a span holds a word of the caller's: %s", s.Text)
		}
		if s.Parent != "" {
			t.Errorf("%s has the parent %s, of nobody", s.Name, s.Parent)
		}
	}
	for name, want := range map[string][]string{
		"GET /v1/runs/{run_id}/fine":  {"204", "", "STATUS_CODE_UNSET"},
		"GET /v1/runs/{run_id}/fail":  {"503", "unavailable", "STATUS_CODE_ERROR"},
		"GET /v1/runs/{run_id}/panic": {"500", "internal", "STATUS_CODE_ERROR"},
		"HEAD /v1/runs/{run_id}/fine": {"401", "unauthenticated", "STATUS_CODE_UNSET"},
		"GET":                         {"404", "", "STATUS_CODE_UNSET"},
		uncounted:                     {"405", "", "STATUS_CODE_UNSET"},
	} {
		s, ok := got[name]
		if !ok {
			t.Errorf("there is no span %q", name)
			continue
		}
		if a := s.Attributes; a["http.response.status_code"] != want[0] || a["error.type"] != want[1] || s.Status.String() != want[2] {
			t.Errorf("%s is %v with %v, want %v", name, s.Status, a, want)
		}
		if strings.Contains(name, "run_id") && s.Attributes["lari.run_id"] != run.String() {
			t.Errorf("%s is of run %q", name, s.Attributes["lari.run_id"])
		}
	}
	if len(got) != 6 {
		t.Errorf("there are %d spans", len(got))
	}
}

// While tracing is off a request to a run allocates as much as one that names something else.
func TestTheRunOfAPathIsFoundWithoutAllocating(t *testing.T) {
	id := uuid.Must(uuid.NewV7())
	for path, want := range map[string]uuid.UUID{
		"/v1/runs/" + id.String(): id, "/v1/runs/" + id.String() + "/cancel": id, "/v1/runs/none": uuid.Nil, "/v1/runs": uuid.Nil,
	} {
		x := exchange{http: newRequest(path), route: &Route{runAt: runAt("/v1/runs/{run_id}/cancel")}}
		if got := x.about(); got != want {
			t.Errorf("%s is about %s", path, got)
		}
		if n := testing.AllocsPerRun(100, func() { x.about() }); n != 0 && want != uuid.Nil {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

func newRequest(path string) *fasthttp.RequestCtx {
	var req fasthttp.Request
	req.SetRequestURI(path)
	ctx := &fasthttp.RequestCtx{}
	ctx.Init(&req, nil, nil)
	return ctx
}

// The histograms of requests lead to the trace and the run of a request whose trace is kept, and to none of others.
func TestRequestsLeaveExemplars(t *testing.T) {
	t.Parallel()
	const caller = "4bf92f3577b34da6a3ce929d0e0e4736"
	spans := collector.New(t)
	tracer, err := tracing.New(t.Context(), tracing.Options{Endpoint: spans.URL, Service: "lari", Sampler: tracing.ParentAlwaysOff, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1e9, 0)
	metrics := telemetry.New(telemetry.Options{Now: func() time.Time { return now }})
	r := start(t, []Route{
		Handle("GET", "/v1/runs/{run_id}/fine", auth.RunRead, Meta{ID: "fine", Tag: "runs", Summary: "Do it"},
			func(context.Context, *struct {
				RunID uuid.UUID `path:"run_id"`
			},
			) (None, error) {
				return None{}, nil
			}),
	}, func(d *Deps) { d.Tracer, d.Observe = tracer, metrics.HTTP.Observe })
	ask := func(path, parent string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.token(t, auth.RoleViewer))
		req.Header.Set("traceparent", parent)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	page := func() string {
		_, page, err := metrics.Expose(t.Context(), telemetry.Everyone, "application/openmetrics-text; version=1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		return string(page)
	}
	run := uuid.Must(uuid.NewV7()).String()
	ask("/v1/runs/"+run+"/fine", "")
	ask("/healthz", "00-"+caller+"-00f067aa0ba902b7-01")
	ask("/v1/runs/"+run+"/fine", "00-"+caller+"-00f067aa0ba902b7-00")
	if got := page(); strings.Contains(got, "trace_id") {
		t.Errorf("there is an exemplar of a trace that is not kept, or of a probe:\n%s", got)
	}
	ask("/v1/runs/"+run+"/fine", "00-"+caller+"-00f067aa0ba902b7-01")
	now = now.Add(time.Minute) // a page serves for a second
	for _, name := range []string{"lari_http_request_duration_seconds_bucket", "lari_http_route_duration_seconds_bucket"} {
		found := false
		for line := range strings.Lines(page()) {
			_, exemplar, _ := strings.Cut(line, " # {") // its labels are in no order
			found = found || strings.HasPrefix(line, name) && strings.Contains(exemplar, `run_id="`+run+`"`) && strings.Contains(exemplar, `trace_id="`+caller+`"`)
		}
		if !found {
			t.Errorf("no line of %s leads to the run %s and the trace %s", name, run, caller)
		}
	}
	if err := tracer.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
}
