package analytics

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/larirun/lari/internal/platform/postgres"
)

// Service answers questions about runs. Each method acts for the tenant of the context, but for those that say
// otherwise. Errors of questions are fault.Invalid and name the field.
type Service struct {
	db    *postgres.DB
	store store
	log   *slog.Logger
}

// NewService makes the service.
func NewService(db *postgres.DB, log *slog.Logger) *Service {
	return &Service{db: db, store: store{db}, log: log}
}

// Usage sums up steps.
func (s *Service) Usage(ctx context.Context, q Query) (Usage, error) {
	p, err := q.plan(KindUsage, KindUsage.dimensions(), time.Now())
	if err != nil {
		return Usage{}, err
	}
	found, err := s.store.usage(ctx, p)
	if err != nil {
		return Usage{}, err
	}
	u := Usage{Span: p.span()}
	u.Rows, err = grid(p, found, func(c Cell, _ group, f UsageFigures) UsageRow {
		u.Totals.add(f)
		return UsageRow{c, f}
	})
	return u, err
}

// counts is how many runs there were in one place.
type counts struct {
	created, started, completed, failed, cancelled, timedOut int64
	errors                                                   map[string]int64 // by code
}

func (c *counts) add(o counts) {
	c.created, c.started, c.completed = c.created+o.created, c.started+o.started, c.completed+o.completed
	c.failed, c.cancelled, c.timedOut = c.failed+o.failed, c.cancelled+o.cancelled, c.timedOut+o.timedOut
	if c.errors == nil {
		c.errors = map[string]int64{}
	}
	for code, n := range o.errors {
		c.errors[code] += n
	}
}

// times are the two measures of runs in one place.
type times struct{ wait, duration histogram }

func (t *times) add(o *times) {
	t.wait.add(&o.wait)
	t.duration.add(&o.duration)
}

// both is all that is known of runs in one place.
type both struct {
	counts
	times
}

func (b *both) figures() RunFigures {
	f := RunFigures{
		Created: b.created, Started: b.started, Completed: b.completed, Failed: b.failed, Cancelled: b.cancelled, TimedOut: b.timedOut,
		Errors: make([]ErrorCount, 0, len(b.errors)), Duration: b.duration.timing(), QueueWait: b.wait.timing(),
	}
	f.Finished = f.Completed + f.Failed + f.Cancelled + f.TimedOut
	if f.Finished > 0 {
		rate := float64(f.Failed+f.TimedOut) / float64(f.Finished)
		f.ErrorRate = &rate
	}
	for code, n := range b.errors {
		f.Errors = append(f.Errors, ErrorCount{code, n})
	}
	slices.SortFunc(f.Errors, func(a, b ErrorCount) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code)) })
	return f
}

// Runs counts runs and says how they ended.
func (s *Service) Runs(ctx context.Context, q Query) (Runs, error) {
	p, err := q.plan(KindRuns, KindRuns.dimensions(), time.Now())
	if err != nil {
		return Runs{}, err
	}
	found, err := s.store.runs(ctx, p)
	if err != nil {
		return Runs{}, err
	}
	var total both
	r := Runs{Span: p.span()}
	r.Rows, err = grid(p, found, func(c Cell, _ group, b *both) RunRow {
		if b == nil {
			b = &both{}
		}
		total.counts.add(b.counts)
		total.times.add(&b.times)
		return RunRow{c, b.figures()}
	})
	r.Totals = total.figures()
	return r, err
}

// Latency says how long runs waited and ran.
func (s *Service) Latency(ctx context.Context, q Query) (Latency, error) {
	p, err := q.plan(KindLatency, KindLatency.dimensions(), time.Now())
	if err != nil {
		return Latency{}, err
	}
	found, err := s.store.latency(ctx, p)
	if err != nil {
		return Latency{}, err
	}
	var total times
	l := Latency{Span: p.span()}
	l.Rows, err = grid(p, found, func(c Cell, _ group, t *times) LatencyRow {
		if t == nil {
			t = &times{}
		}
		total.add(t)
		return LatencyRow{c, t.figures()}
	})
	l.Totals = total.figures()
	return l, err
}

func (t *times) figures() LatencyFigures {
	return LatencyFigures{Duration: t.duration.timing(), QueueWait: t.wait.timing()}
}
