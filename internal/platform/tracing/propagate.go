package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Headers of W3C Trace Context. Baggage is neither read nor sent: it would carry a caller's data to others.
const (
	Parent = "traceparent"
	State  = "tracestate"
	// maxState is how much of a caller's tracestate is handed on (Trace Context §3.3.1.5); more is dropped.
	maxState = 512
)

// Inject says in the headers of an outgoing request which trace it belongs to.
func Inject(ctx context.Context, h http.Header) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
}

// Extract reads the headers of an incoming request. What is no trace context is none.
func Extract(parent, state string) trace.SpanContext {
	if parent == "" {
		return trace.SpanContext{}
	}
	carrier := propagation.MapCarrier{Parent: parent}
	if len(state) <= maxState {
		carrier[State] = state
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}

// ParentOf gives the trace context of the context as the header's text, "" when there is none.
func ParentOf(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[Parent]
}

// Sampled gives the id of the context's trace if that is kept, "" otherwise.
func Sampled(ctx context.Context) string {
	s := trace.SpanContextFromContext(ctx)
	if !s.IsValid() || !s.IsSampled() {
		return ""
	}
	return s.TraceID().String()
}

type linkKey struct{}

// Linked makes a trace that begins in the context point to the one of a traceparent: what was asked for long
// ago, or is repeated, has a trace of its own.
func Linked(ctx context.Context, parent string) context.Context {
	if parent == "" {
		return ctx
	}
	return context.WithValue(ctx, linkKey{}, Extract(parent, ""))
}

func linkOf(ctx context.Context) trace.SpanContext {
	s, _ := ctx.Value(linkKey{}).(trace.SpanContext)
	return s
}
