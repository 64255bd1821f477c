package runs

import (
	"context"
	"time"

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

// Queue is the runs that may begin and have not.
type Queue struct {
	Runs   int64
	Oldest time.Duration // since the first of them could have begun; zero: there is none
}

// FindQueue gives that of every tenant. For metrics: no caller's request leads here.
func (s *Service) FindQueue(ctx context.Context) (Queue, error) {
	ctx, stop := context.WithTimeout(postgres.AsSystem(ctx), activeLimit)
	defer stop()
	return s.store.queue(ctx)
}

// CountAllUnfinished counts those of every tenant, for who looks after the platform.
func (s *Service) CountAllUnfinished(ctx context.Context) (Counts, error) {
	return s.store.countAllUnfinished(postgres.AsSystem(ctx))
}
