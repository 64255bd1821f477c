package api

import (
	"bytes"
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/platform/tracing"
)

// runParam is the parameter of a path that names the run that a request is about.
const runParam = "run_id"

// probes are asked every few seconds and say nothing of anybody's request.
func probed(path []byte) bool { return string(path) == "/healthz" || string(path) == "/readyz" }

// beginSpan begins the request's span, below the caller's if that sent one.
func (s *Server) beginSpan(ctx *fasthttp.RequestCtx, x *exchange) {
	if probed(ctx.Path()) {
		return
	}
	h := &ctx.Request.Header
	parent := s.adapter.base
	if remote := tracing.Extract(string(h.Peek(tracing.Parent)), string(h.Peek(tracing.State))); remote.IsValid() {
		parent = trace.ContextWithRemoteSpanContext(parent, remote)
	}
	_, x.span = s.tracer.Start(parent, methodLabel(ctx), trace.WithSpanKind(trace.SpanKindServer))
}

// endSpan ends it with what is known of the request by then. The path is not told, and neither is the query:
// the route says which request it was, and callers put words into queries.
func (x *exchange) endSpan(ctx *fasthttp.RequestCtx) {
	if !x.span.IsRecording() {
		return
	}
	method, status := methodLabel(ctx), ctx.Response.StatusCode()
	attrs := make([]attribute.KeyValue, 0, 8)
	if method == uncounted {
		attrs = append(attrs, semconv.HTTPRequestMethodOther)
	} else {
		attrs = append(attrs, semconv.HTTPRequestMethodKey.String(method))
	}
	attrs = append(attrs, semconv.URLScheme("http"), semconv.HTTPResponseStatusCode(status), tracing.RequestID.String(x.requestID))
	if x.route != nil {
		attrs = append(attrs, semconv.HTTPRoute(x.route.Path))
		x.span.SetName(x.route.spanName(method))
	}
	if x.label != "" {
		attrs = append(attrs, tracing.TenantID.String(x.label))
	}
	if x.run != uuid.Nil {
		attrs = append(attrs, tracing.RunID.String(x.run.String()))
	}
	switch {
	case x.code != "":
		attrs = append(attrs, tracing.ErrorType.String(string(x.code)))
	case status >= 500:
		attrs = append(attrs, tracing.ErrorType.String(fasthttp.StatusMessage(status)))
	}
	x.span.SetAttributes(attrs...)
	if status >= 500 {
		x.span.SetStatus(codes.Error, string(x.code))
	}
	x.span.End()
}

// exemplar names the request's trace, and its run; false: the trace is not kept.
func (x *exchange) exemplar() (e telemetry.Exemplar, kept bool) {
	if x.span == nil || !x.span.SpanContext().IsSampled() {
		return e, false
	}
	e.TraceID = x.span.SpanContext().TraceID().String()
	if x.run != uuid.Nil {
		e.RunID = x.run.String()
	}
	return e, true
}

// spanName is that of the route, ready made: HEAD is answered by the routes of GET.
func (r *Route) spanName(method string) string {
	if method == r.Method {
		return r.label
	}
	return method + " " + r.Path
}

// within puts the request's span into the context.
func (x *exchange) within(ctx context.Context) context.Context {
	if x.span == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, x.span)
}

// about gives the run that the request's path names, uuid.Nil for none. It is asked of every request and
// allocates nothing.
func (x *exchange) about() uuid.UUID {
	if x.route.runAt == 0 {
		return uuid.Nil
	}
	path := x.http.Path()
	for range x.route.runAt {
		_, path, _ = bytes.Cut(path, []byte("/"))
	}
	id, _, _ := bytes.Cut(path, []byte("/"))
	run, err := uuid.ParseBytes(id)
	if err != nil {
		return uuid.Nil
	}
	return run
}

// runAt gives after how many slashes of the path a run is named, 0 for nowhere.
func runAt(path string) int {
	before, _, found := strings.Cut(path, "{"+runParam+"}")
	if !found {
		return 0
	}
	return strings.Count(before, "/")
}
