package telemetry

import (
	"context"
	"io"
	"log/slog"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/larirun/lari/internal/platform/scope"
)

// NewLogger makes a logger that writes lines of JSON, or of key=value when format is "text". Each line
// carries the tenant, run, request and trace of its context at the top level, and is rid of what looks like a
// secret, see redact.go.
func NewLogger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: attrRedactor{value: redactJSON}.attr}
	var h slog.Handler = slog.NewJSONHandler(w, options)
	if format == "text" {
		options.ReplaceAttr = attrRedactor{value: redactPlain}.attr
		h = slog.NewTextHandler(w, options)
	}
	return slog.New(&scoped{root: h, next: h})
}

// scoped adds what the context says. Attributes added to a record land in the groups that are open, so
// from the first group on the handler is rebuilt from its root for records that have something to add.
type scoped struct {
	root  slog.Handler                      // with what was added before the first group
	next  slog.Handler                      // with everything
	since []func(slog.Handler) slog.Handler // from root to next; empty: they are the same
	said  said                              // by root
}

// said tells which of the scope's attributes are there already: a key must not stand twice in a line.
type said struct{ tenant, run, request, trace, span bool }

func (s *said) note(a slog.Attr) {
	s.tenant = s.tenant || a.Key == tenantKey
	s.run = s.run || a.Key == runKey
	s.request = s.request || a.Key == requestKey
	s.trace = s.trace || a.Key == traceKey
	s.span = s.span || a.Key == spanKey
}

const (
	tenantKey  = "tenant_id"
	runKey     = "run_id"
	requestKey = "request_id"
	traceKey   = "trace_id"
	spanKey    = "span_id"
)

// Enabled is part of slog.Handler.
func (s *scoped) Enabled(ctx context.Context, level slog.Level) bool {
	return s.next.Enabled(ctx, level)
}

// Handle is part of slog.Handler.
func (s *scoped) Handle(ctx context.Context, r slog.Record) error {
	attrs := s.fromContext(ctx, r)
	if len(attrs) == 0 {
		return s.next.Handle(ctx, r)
	}
	if len(s.since) == 0 {
		r = r.Clone()
		r.AddAttrs(attrs...)
		return s.next.Handle(ctx, r)
	}
	h := s.root.WithAttrs(attrs)
	for _, step := range s.since {
		h = step(h)
	}
	return h.Handle(ctx, r)
}

// WithAttrs is part of slog.Handler.
func (s *scoped) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return s
	}
	if len(s.since) == 0 {
		out := &scoped{root: s.root.WithAttrs(attrs), said: s.said}
		out.next = out.root
		for _, a := range attrs {
			out.said.note(a)
		}
		return out
	}
	return s.then(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup is part of slog.Handler.
func (s *scoped) WithGroup(name string) slog.Handler {
	if name == "" {
		return s
	}
	return s.then(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (s *scoped) then(step func(slog.Handler) slog.Handler) *scoped {
	since := append(s.since[:len(s.since):len(s.since)], step)
	return &scoped{root: s.root, next: step(s.next), since: since, said: s.said}
}

// fromContext gives what the context knows and neither the logger nor the record says itself.
func (s *scoped) fromContext(ctx context.Context, r slog.Record) []slog.Attr {
	from, within, said := scope.From(ctx), trace.SpanContextFromContext(ctx), s.said
	if from.Tenant == uuid.Nil && from.Run == uuid.Nil && from.RequestID == "" && !within.IsValid() {
		return nil
	}
	if len(s.since) == 0 { // else the record's attributes lie in a group
		r.Attrs(func(a slog.Attr) bool { said.note(a); return true })
	}
	var out []slog.Attr
	if from.Tenant != uuid.Nil && !said.tenant {
		out = append(out, slog.String(tenantKey, from.Tenant.String()))
	}
	if from.Run != uuid.Nil && !said.run {
		out = append(out, slog.String(runKey, from.Run.String()))
	}
	if from.RequestID != "" && !said.request {
		out = append(out, slog.String(requestKey, from.RequestID))
	}
	if within.IsValid() && !said.trace {
		out = append(out, slog.String(traceKey, within.TraceID().String()))
	}
	if within.IsValid() && !said.span {
		out = append(out, slog.String(spanKey, within.SpanID().String()))
	}
	return out
}
