package schedules

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

const (
	sweepEvery = time.Minute
	sweepLimit = 30 * time.Second // of one pass
	sweepPage  = 100
	// unsettledFor is how long a schedule may be between two states before whoever put it there is taken for dead.
	unsettledFor = time.Minute
	// firingsKept is how long it is known what became of a firing.
	firingsKept = 90 * 24 * time.Hour
)

// RunSweeper clears away what processes that died have left between two states, and firings of long ago. Every
// process runs one; they do not get in each other's way. It returns when ctx ends.
func (s *Service) RunSweeper(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "the sweep of schedules was cut short", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Sweep makes one pass.
func (s *Service) Sweep(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, sweepLimit)
	defer stop()
	system := postgres.AsSystem(ctx)
	_, forgetting := s.store.forget(system, firingsKept, 10*sweepPage)
	unsettled, err := s.store.claimUnsettled(system, unsettledFor, sweepPage)
	if err != nil {
		return errors.Join(forgetting, err)
	}
	var sweep errgroup.Group
	sweep.SetLimit(described)
	for _, r := range unsettled {
		sweep.Go(func() error {
			return s.clear(scope.With(ctx, scope.Scope{Tenant: r.tenant, Actor: "system"}), r.tenant, r.id)
		})
	}
	return errors.Join(forgetting, sweep.Wait()) // the first failure; none keeps the others
}
