package tracing

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/larirun/lari/internal/platform/scope"
)

func recording(t *testing.T, s Sampler, ratio float64) (*Tracer, *tracetest.SpanRecorder) {
	t.Helper()
	kept := tracetest.NewSpanRecorder()
	made, err := newTracer(t.Context(), Options{Service: "lari", Sampler: s, Ratio: ratio}, kept)
	if err != nil {
		t.Fatal(err)
	}
	return made, kept
}

// Whoever foresees a span names the one that is made later, elsewhere and however often, with every sampler and
// with a parent or none.
func TestWhatIsForeseenIsWhatIsMade(t *testing.T) {
	t.Parallel()
	parents := []trace.SpanContext{
		{}, Extract("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=b"), Extract("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", ""),
	}
	for _, sampler := range Samplers() {
		for i, parent := range parents {
			kept := 0
			for range 64 {
				key := uuid.NewString()
				one, spans := recording(t, sampler, .5)
				another, _ := recording(t, sampler, .5)
				want := another.Foresee(parent, key, "w", trace.SpanKindConsumer)
				if again := one.Foresee(parent, key, "w", trace.SpanKindConsumer); !again.Equal(want) {
					t.Fatalf("%s foresees %v and %v", sampler, want, again)
				}
				one.Emit(parent, key, "w", trace.SpanKindConsumer, time.Now(), time.Now(), Outcome{})
				if made := spans.Ended(); want.IsSampled() != (len(made) == 1) {
					t.Fatalf("%s, parent %d: %d spans, foreseen %v", sampler, i, len(made), want.IsSampled())
				} else if len(made) == 1 {
					kept++
					if got := made[0].SpanContext(); !got.Equal(want) || made[0].Parent().SpanID() != parent.SpanID() {
						t.Fatalf("%s made %v, foreseen %v", sampler, got, want)
					}
				}
			}
			if sampler == Ratio && i == 0 && (kept < 10 || kept > 54) {
				t.Errorf("%s kept %d of 64", sampler, kept)
			}
		}
	}
}

// Without a tracer, and without a trace in the context, nothing is made and nothing allocated.
func TestOffCostsNothing(t *testing.T) {
	var off *Tracer
	ctx := scope.With(t.Context(), scope.Scope{Tenant: uuid.New()})
	if n := testing.AllocsPerRun(100, func() {
		below, span := off.Start(ctx, "a")
		below, inner := Start(below, "b")
		With(below)
		End(inner, Outcome{})
		End(span, Outcome{Error: "x"})
		_ = ParentOf(below) + Sampled(below)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := off.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestSpansSayWhoseTheyAre(t *testing.T) {
	t.Parallel()
	made, spans := recording(t, AlwaysOn, 1)
	tenant, run := uuid.New(), uuid.New()
	ctx := scope.With(t.Context(), scope.Scope{Tenant: tenant, Run: run})
	ctx, span := made.Start(Linked(ctx, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), "a")
	ctx = With(ctx, AgentID.String("g"))
	_, inner := Start(ctx, "b")
	inner.End()
	span.End()
	for _, s := range spans.Ended() {
		got := map[string]string{}
		for _, a := range s.Attributes() {
			got[string(a.Key)] = a.Value.AsString()
		}
		if got["lari.tenant_id"] != tenant.String() || got["lari.run_id"] != run.String() || got["lari.agent_id"] != "g" {
			t.Errorf("%s has %v", s.Name(), got)
		}
		if n := len(s.Links()); n != map[string]int{"a": 1}[s.Name()] { // only the one that begins the trace
			t.Errorf("%s has %d links", s.Name(), n)
		}
	}
}

type broken struct{ err error }

func (b *broken) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return b.err }
func (b *broken) Shutdown(context.Context) error                             { return nil }

// Losses are told once in a while, with how many there were, and their end once.
func TestLossesAreToldOnceInAWhile(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	at := time.Now()
	next := &broken{err: errors.New("connection refused")}
	l := &loud{next: next, log: slog.New(slog.NewTextHandler(&said, nil)), now: func() time.Time { return at }}
	send := func() {
		if err := l.ExportSpans(t.Context(), make([]sdktrace.ReadOnlySpan, 10)); err != nil {
			t.Errorf("the SDK is told %v", err)
		}
	}
	for range 10 {
		send()
	}
	at = at.Add(complainEvery)
	send()
	next.err = nil
	send()
	send()
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "lost=10") || !strings.Contains(lines[1], "lost=100") || !strings.Contains(lines[2], "again") {
		t.Errorf("said:\n%s", said.String())
	}
}

func TestAForeignStateIsBounded(t *testing.T) {
	t.Parallel()
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if s := Extract(parent, "a="+strings.Repeat("b", 200)); s.TraceState().Len() != 1 {
		t.Error("a state within the limit was dropped")
	}
	var long []string
	for i := range 4 {
		long = append(long, string(rune('a'+i))+"="+strings.Repeat("x", 200))
	}
	if s := Extract(parent, strings.Join(long, ",")); s.TraceState().Len() != 0 || !s.IsValid() {
		t.Errorf("a state over the limit was kept, or the parent lost: %v", s)
	}
}
