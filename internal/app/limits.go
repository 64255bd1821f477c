package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/quotas"
)

// defaultLimits are the settings as limits of a tenant.
func defaultLimits(d config.Defaults) quotas.Limits {
	limit := func(n int) *int {
		if n == 0 {
			return nil
		}
		return &n
	}
	return quotas.Limits{
		ConcurrentRuns: limit(d.ConcurrentRuns), HeldRuns: limit(d.HeldRuns), RunsPerDay: limit(d.RunsPerDay),
		RequestsPerMinute: limit(d.RequestsPerMinute), Schedules: limit(d.Schedules), Streams: limit(d.Streams),
	}
}

// setDefaultLimits writes the limits of tenants of which the platform says no other, once the database is there, and
// says what they are.
func (a *App) setDefaultLimits(ctx context.Context) {
	d := a.cfg.Defaults
	a.log.InfoContext(ctx, "the limits of a tenant of which the platform says no other (0: none)",
		slog.Int("concurrent_runs", d.ConcurrentRuns), slog.Int("held_runs", d.HeldRuns), slog.Int("runs_per_day", d.RunsPerDay),
		slog.Int("requests_per_minute", d.RequestsPerMinute), slog.Int("schedules", d.Schedules), slog.Int("streams", d.Streams),
		slog.Int("streams_per_caller", d.StreamsPerCaller), slog.Int("requests_at_once", d.RequestsAtOnce), slog.Int("starts_at_once", d.StartsAtOnce))
	a.insist(ctx, "the default limits of tenants cannot be written yet", func() error {
		return a.Quotas.ReplaceDefaults(ctx, defaultLimits(d))
	})
}

const (
	streamLimitMemory  = 5 * time.Second
	streamLimitTenants = 10_000
)

// streamLimits reads how many streams a tenant may have in each process, and remembers it for five seconds.
type streamLimits struct {
	quotas *quotas.Service
	known  *lru.Cache[uuid.UUID, knownLimit]
}

type knownLimit struct {
	limit *int
	until time.Time
}

func newStreamLimits(q *quotas.Service) (*streamLimits, error) {
	known, err := lru.New[uuid.UUID, knownLimit](streamLimitTenants)
	return &streamLimits{q, known}, err
}

// Limit returns the limit of the context's tenant; nil: there is none.
func (s *streamLimits) Limit(ctx context.Context) (*int, error) {
	tenant, now := scope.Tenant(ctx), time.Now()
	if k, ok := s.known.Get(tenant); ok && now.Before(k.until) {
		return k.limit, nil
	}
	l, err := s.quotas.Limit(ctx)
	if err != nil {
		return nil, err
	}
	s.known.Add(tenant, knownLimit{l.Streams, now.Add(streamLimitMemory)})
	return l.Streams, nil
}
