package schedules

import (
	"context"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// Outcome is how a firing ended.
type Outcome string

// The outcomes.
const (
	FiringStarted   Outcome = "started"   // there is a run
	FiringRefused   Outcome = "refused"   // the platform did not accept the run
	FiringCancelled Outcome = "cancelled" // while it waited for the end of a pause
	FiringSkipped   Outcome = "skipped"   // the run of an earlier firing went on
	FiringMissed    Outcome = "missed"    // the catch-up window passed while the platform was away
)

// Settled is firings that came to their end.
type Settled struct {
	TenantID uuid.UUID
	Outcome  Outcome
	N        int
	Code     fault.Code    // why there is no run; "": the outcome says it
	RunID    uuid.UUID     // uuid.Nil: there is none
	Late     time.Duration // from the nominal time to the start of a firing whose time came; 0 for others
}

// Observer is told what becomes of firings, for metrics.
type Observer interface {
	FiringsSettled(ctx context.Context, s Settled)
}

const (
	watchEvery = 15 * time.Second
	watchLimit = 10 * time.Second // of one pass
	// watchAge is how old what was seen of a schedule may be before it is looked at again, unless there are more of
	// them than the processes together look at: watchPage in each pass of each.
	watchAge  = time.Minute
	watchPage = 300
)

// RunWatcher looks at schedules in the engine, which alone knows which firings did not come about. Every process runs
// one; they share the work. It returns when ctx ends.
func (s *Service) RunWatcher(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		if err := s.Watch(ctx, watchAge); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "schedules were not looked at", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Watch makes one pass over schedules that nobody has looked at for longer than age.
func (s *Service) Watch(ctx context.Context, age time.Duration) error {
	ctx, stop := context.WithTimeout(ctx, watchLimit)
	defer stop()
	due, err := s.store.claim(postgres.AsSystem(ctx), age, watchPage)
	if err != nil {
		return err
	}
	var group errgroup.Group // none keeps the others: each was claimed, and would not be looked at for another age
	group.SetLimit(described)
	for _, before := range due {
		group.Go(func() error {
			return s.look(scope.With(ctx, scope.Scope{Tenant: before.tenant, Actor: "system"}), before)
		})
	}
	return group.Wait()
}

// look counts what did not come about since a schedule was last looked at.
func (s *Service) look(ctx context.Context, before seen) error {
	h, found, err := s.Engine.FindSchedule(ctx, before.tenant, before.id)
	if err != nil {
		return err
	}
	now := before
	if found {
		now.skipped, now.missed = h.Counts.SkippedOverlap, h.Counts.Missed
	}
	first, err := s.store.saw(ctx, before, now, h.state(found, time.Now()))
	if err != nil || !first {
		return err
	}
	s.settled(ctx, Settled{TenantID: before.tenant, Outcome: FiringSkipped, N: more(before.skipped, now.skipped)})
	s.settled(ctx, Settled{TenantID: before.tenant, Outcome: FiringMissed, N: more(before.missed, now.missed)})
	return nil
}

// more is by how much a count went up. One that fell began anew: the schedule was made again.
func more(before, now int) int {
	switch {
	case before < 0:
		return 0
	case now < before:
		return now
	}
	return now - before
}

func (s *Service) settled(ctx context.Context, what Settled) {
	if s.Observer != nil && what.N > 0 {
		s.Observer.FiringsSettled(ctx, what)
	}
}

// CountStates counts the schedules of all tenants by state, as they were last seen.
func (s *Service) CountStates(ctx context.Context) ([]StateCount, error) {
	return s.store.states(postgres.AsSystem(ctx))
}
