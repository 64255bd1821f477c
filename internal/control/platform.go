package control

import (
	"context"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// The methods of this file concern every tenant. The platform's permission, which no tenant's role grants, is
// asked for before they are called.

// Platform is what executes runs, and whether any begin.
type Platform struct {
	Standing
	Runs          Counts         `json:"runs" description:"Runs of all tenants that have not ended."`
	TenantsPaused int64          `json:"tenants_paused" description:"Tenants that are paused or draining by their own doing."`
	Workers       WorkersView    `json:"workers"`
	TaskQueues    []QueueView    `json:"task_queues" nullable:"false"`
	Reconciler    ReconcilerView `json:"reconciler" description:"What ends runs whose workflow could not."`
	Engine        EngineView     `json:"engine" description:"The Temporal server."`
}

// Platform gives the view of the whole.
func (s *Service) Platform(ctx context.Context) (Platform, error) {
	system := postgres.AsSystem(ctx)
	now, tenants, err := s.store.platform(system)
	if err != nil {
		return Platform{}, err
	}
	counts, err := s.Runs.CountAllRuns(ctx)
	if err != nil {
		return Platform{}, err
	}
	v := s.memory.get(ctx, s.survey)
	return Platform{
		Standing: of(now, ScopePlatform).after(counts), Runs: counts, TenantsPaused: tenants, Workers: v.workers(true), TaskQueues: v.queues,
		Reconciler: v.passes, Engine: v.server,
	}, nil
}

// PausePlatform lets no tenant begin a run.
func (s *Service) PausePlatform(ctx context.Context, c Change) error {
	return s.store.setPlatform(postgres.AsSystem(ctx), setting(ctx, Paused, c))
}

// DrainPlatform lets no tenant begin a run until it is resumed.
func (s *Service) DrainPlatform(ctx context.Context, reason string) error {
	return s.store.setPlatform(postgres.AsSystem(ctx), setting(ctx, Draining, Change{Reason: reason}))
}

// ResumePlatform ends the platform's pause or drain. What a tenant has paused itself stays.
func (s *Service) ResumePlatform(ctx context.Context, reason string) error {
	if err := s.store.resumePlatform(postgres.AsSystem(ctx), reason, scope.From(ctx).Actor, clock.Now()); err != nil {
		return err
	}
	s.released(ctx, ScopePlatform)
	return nil
}
