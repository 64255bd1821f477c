package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/internal/runs"
)

// BenchmarkAdapter measures what the adapter costs around a function that does nothing: authenticate (the
// token is cached), tenant, permission, decode, validate, meter, encode. The budget is 30 µs and 60
// allocations.
func BenchmarkAdapter(b *testing.B) {
	var observed int
	s, err := New(Deps{
		Auth: newAuth(b), Trail: newTrail(b), Log: slog.New(slog.DiscardHandler),
		Observe: func(string, string, string, int, time.Duration, ...telemetry.Exemplar) { observed++ },
	}, append(thingRoutes(), Handle("POST", "/v1/runs", auth.RunCreate, Meta{ID: "createRun", Tag: "runs", Summary: "Start a run", Status: 202},
		func(context.Context, *runs.NewRun) (thingView, error) { return thingView{Name: "a"}, nil })))
	if err != nil {
		b.Fatal(err)
	}
	r := rig{tenant: uuid.Must(uuid.NewV7())}
	token := "Bearer " + r.token(b, auth.RoleOperator)
	body := []byte(`{"agent": "assistant", "input": "Compare this quarter's invoices with the last and name the three largest changes.",
		"metadata": {"ticket": "LR-1042", "team": "finance"}, "timeout_seconds": 600,
		"budget": {"max_steps": 20, "max_cost_usd": "0.50"}}`)
	if len(body) < 250 || len(body) > 350 {
		b.Fatalf("the body has %d bytes", len(body))
	}
	for _, c := range []struct {
		name, method, target string
		body                 []byte
		status               int
	}{
		{"Write", "POST", "/v1/runs", body, 202},
		{"Read", "GET", "/v1/things/" + thingID, nil, 200},
		{"List", "GET", "/v1/things?limit=20&color=red&color=green", nil, 200},
	} {
		b.Run(c.name, func(b *testing.B) {
			var req fasthttp.Request
			req.Header.SetMethod(c.method)
			req.SetRequestURI(c.target)
			req.Header.Set("Authorization", token)
			req.Header.Set("x-tenant-id", r.tenant.String())
			if c.body != nil {
				req.Header.SetContentType("application/json")
				req.SetBody(c.body)
			}
			handler := s.Handler()
			var ctx fasthttp.RequestCtx
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				ctx.Init(&req, nil, nil)
				handler(&ctx)
				if ctx.Response.StatusCode() != c.status {
					b.Fatalf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
				}
				ctx.Response.Reset()
			}
		})
	}
	_ = s.Shutdown(context.Background())
}

// BenchmarkTracing measures what tracing costs a request: off, on with a trace that is not kept, and on. Off it must
// cost nothing, which BenchmarkAdapter has the figure for.
func BenchmarkTracing(b *testing.B) {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer collector.Close()
	r := rig{tenant: uuid.Must(uuid.NewV7())}
	token := "Bearer " + r.token(b, auth.RoleOperator)
	for _, c := range []struct {
		name    string
		sampler tracing.Sampler // "": tracing is off
	}{{"Off", ""}, {"NotKept", tracing.AlwaysOff}, {"On", tracing.AlwaysOn}} {
		b.Run(c.name, func(b *testing.B) {
			var tracer *tracing.Tracer
			if c.sampler != "" {
				var err error
				tracer, err = tracing.New(b.Context(), tracing.Options{Endpoint: collector.URL, Service: "lari", Sampler: c.sampler, Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = tracer.Close(context.Background()) }()
			}
			s, err := New(Deps{Auth: newAuth(b), Trail: newTrail(b), Log: slog.New(slog.DiscardHandler), Tracer: tracer},
				append(thingRoutes(), Handle("GET", "/v1/runs/{run_id}", auth.RunRead, Meta{ID: "getRun", Tag: "runs", Summary: "Show a run"},
					func(_ context.Context, in *struct {
						RunID uuid.UUID `path:"run_id"`
					},
					) (thingView, error) {
						return thingView{Name: in.RunID.String()}, nil
					})))
			if err != nil {
				b.Fatal(err)
			}
			var req fasthttp.Request
			req.Header.SetMethod("GET")
			req.SetRequestURI("/v1/runs/" + uuid.NewString())
			req.Header.Set("Authorization", token)
			req.Header.Set("x-tenant-id", r.tenant.String())
			handler := s.Handler()
			var ctx fasthttp.RequestCtx
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				ctx.Init(&req, nil, nil)
				handler(&ctx)
				if ctx.Response.StatusCode() != 200 {
					b.Fatalf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
				}
				ctx.Response.Reset()
			}
			b.StopTimer()
			_ = s.Shutdown(context.Background())
		})
	}
}
