package runs

import (
	"context"

	"github.com/larirun/lari/internal/platform/postgres"
)

// Counts are runs that have not ended.
type Counts struct {
	Active int64 // they have begun
	Queued int64 // they may begin and have not yet
	Held   int64
}

// CountUnfinished counts those of the tenant.
func (s *Service) CountUnfinished(ctx context.Context) (Counts, error) {
	return s.store.countUnfinished(ctx)
}

// CountHeld counts the held runs of every tenant by what holds them. For metrics: no caller's request leads
// here.
func (s *Service) CountHeld(ctx context.Context) (map[Hold]int64, error) {
	ctx, stop := context.WithTimeout(postgres.AsSystem(ctx), activeLimit)
	defer stop()
	return s.store.countHeld(ctx)
}

// CountAllUnfinished counts those of every tenant, for who looks after the platform.
func (s *Service) CountAllUnfinished(ctx context.Context) (Counts, error) {
	return s.store.countAllUnfinished(postgres.AsSystem(ctx))
}
