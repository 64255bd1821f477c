package control

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// Runs counts runs that have not ended.
type Runs interface {
	// CountRuns counts the tenant's.
	CountRuns(ctx context.Context) (Counts, error)
	// CountAllRuns counts those of every tenant.
	CountAllRuns(ctx context.Context) (Counts, error)
}

// Deps is what the service works with.
type Deps struct {
	DB     *postgres.DB
	Runs   Runs
	Engine Engine
	Queues []string // the task queues that are shown
	// Released is called after runs may begin again: for the tenant of the context, or for all. It returns
	// soon and sees to it that held runs begin. nil: they are found by whoever looks after them.
	Released func(ctx context.Context, of Scope)
	Logger   *slog.Logger
}

// Service keeps the states. Its methods act for the tenant of the context; those of platform.go for all.
type Service struct {
	Deps
	store     store
	memory    remembered
	schedules *lru.Cache[uuid.UUID, schedulesSeen]
}

// tenantsRemembered bounds for how many tenants the count of paused schedules is remembered.
const tenantsRemembered = 1000

// NewService makes the service.
func NewService(d Deps) (*Service, error) {
	schedules, err := lru.New[uuid.UUID, schedulesSeen](tenantsRemembered)
	return &Service{Deps: d, store: store{d.DB}, schedules: schedules}, err
}

// Change is why a state is changed.
type Change struct {
	Reason  string
	NewRuns NewRuns // of a pause; "": Refuse
}

// Daemon is what executes a tenant's runs, and whether they begin.
type Daemon struct {
	Standing
	Runs       Counts         `json:"runs" description:"The tenant's runs that have not ended."`
	Workers    WorkersView    `json:"workers" description:"What executes the runs of all tenants."`
	TaskQueues []QueueView    `json:"task_queues" nullable:"false" description:"The tasks of all tenants."`
	Schedules  SchedulesView  `json:"schedules"`
	Reconciler ReconcilerView `json:"reconciler" description:"What ends runs whose workflow could not."`
	Engine     EngineView     `json:"engine" description:"The Temporal server."`
}

// Daemon gives the tenant's view. named says who the workers are.
func (s *Service) Daemon(ctx context.Context, named bool) (Daemon, error) {
	now, err := s.Standing(ctx)
	if err != nil {
		return Daemon{}, err
	}
	counts, err := s.Runs.CountRuns(ctx)
	if err != nil {
		return Daemon{}, err
	}
	v := s.memory.get(ctx, s.survey)
	return Daemon{
		Standing: now.after(counts), Runs: counts, Workers: v.workers(named), TaskQueues: v.queues,
		Schedules: s.countSchedules(ctx, v), Reconciler: v.passes, Engine: v.server,
	}, nil
}

// Standing gives what holds for the tenant: running, paused or draining.
func (s *Service) Standing(ctx context.Context) (Standing, error) {
	own, platform, status, err := s.store.settings(ctx, scope.Tenant(ctx))
	if err != nil {
		return Standing{}, err
	}
	return standing(own, platform, status), nil
}

// Pause lets the tenant begin no run. Those that have begun go on.
func (s *Service) Pause(ctx context.Context, c Change) error {
	return s.store.set(ctx, scope.Tenant(ctx), setting(ctx, Paused, c))
}

// Drain lets the tenant begin no run until it is resumed: those that have begun are to be the last.
func (s *Service) Drain(ctx context.Context, reason string) error {
	return s.store.set(ctx, scope.Tenant(ctx), setting(ctx, Draining, Change{Reason: reason}))
}

// Resume ends the tenant's own pause or drain. What holds for the whole platform stays.
func (s *Service) Resume(ctx context.Context, reason string) error {
	if err := s.store.resume(ctx, scope.Tenant(ctx), reason, scope.From(ctx).Actor, clock.Now()); err != nil {
		return err
	}
	s.released(ctx, ScopeTenant)
	return nil
}

func setting(ctx context.Context, state State, c Change) Setting {
	at := clock.Now()
	to := Setting{State: state, NewRuns: Refuse, Reason: c.Reason, ChangedBy: scope.From(ctx).Actor, ChangedAt: &at}
	if c.NewRuns != "" {
		to.NewRuns = c.NewRuns
	}
	return to
}

// released also follows a resume that found nothing to end: whoever did may have died before this.
func (s *Service) released(ctx context.Context, of Scope) {
	if s.Released != nil {
		s.Released(ctx, of)
	}
}

type schedulesSeen struct {
	view  SchedulesView
	until time.Time
}

// countSchedules remembers the count as the survey is remembered. An engine that is away is not asked.
func (s *Service) countSchedules(ctx context.Context, v survey) SchedulesView {
	if !v.server.Reachable {
		return SchedulesView{Unavailable: v.server.Unavailable}
	}
	tenant := scope.Tenant(ctx)
	if seen, ok := s.schedules.Get(tenant); ok && time.Now().Before(seen.until) {
		return seen.view
	}
	ctx, stop := context.WithTimeout(ctx, surveyLimit)
	defer stop()
	n, err := s.Engine.CountPausedSchedules(ctx, tenant)
	view := SchedulesView{Paused: n, Unavailable: s.why(ctx, err)}
	s.schedules.Add(tenant, schedulesSeen{view, time.Now().Add(surveyFor)})
	return view
}
