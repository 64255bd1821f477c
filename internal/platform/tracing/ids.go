package tracing

import (
	"context"
	"encoding/binary"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// foreseenKey holds the key of a span whose identity was foreseen.
type foreseenKey struct{}

// ids makes the ids of spans: by chance, or as they were foreseen.
type ids struct{}

// NewIDs gives those of a span that begins a trace.
func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if key, ok := ctx.Value(foreseenKey{}).(string); ok {
		return derive(key)
	}
	var id trace.TraceID
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:8], rand.Uint64()) //nolint:gosec // nobody gains by guessing it
		binary.NativeEndian.PutUint64(id[8:], rand.Uint64()) //nolint:gosec // as above
	}
	return id, spanID()
}

// NewSpanID gives that of a span within a trace.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if key, ok := ctx.Value(foreseenKey{}).(string); ok {
		_, id := derive(key)
		return id
	}
	return spanID()
}

func spanID() (id trace.SpanID) {
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:], rand.Uint64()) //nolint:gosec // nobody gains by guessing it
	}
	return id
}
