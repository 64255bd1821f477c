package tracing

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// complainEvery is how often it is said that spans are lost.
const complainEvery = time.Minute

// loud says itself that spans are lost, once in a while: the SDK would tell OpenTelemetry's global handler,
// which writes to stderr past our logs.
type loud struct {
	next sdktrace.SpanExporter
	log  *slog.Logger
	now  func() time.Time

	mu   sync.Mutex
	lost int       // since it was last said
	said time.Time // zero: the last batch arrived
}

// ExportSpans sends a batch, which is lost when that fails.
func (l *loud) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := l.next.ExportSpans(ctx, spans)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	switch {
	case err == nil && !l.said.IsZero():
		l.log.InfoContext(ctx, "spans reach the collector again", "lost", l.lost)
		l.lost, l.said = 0, time.Time{}
	case err != nil:
		l.lost += len(spans)
		if l.said.IsZero() || now.Sub(l.said) >= complainEvery {
			l.log.WarnContext(ctx, "spans do not reach the collector and are lost until they do", "lost", l.lost, "error", err)
			l.lost, l.said = 0, now
		}
	}
	return nil
}

// Shutdown ends the connection.
func (l *loud) Shutdown(ctx context.Context) error { return l.next.Shutdown(ctx) }
