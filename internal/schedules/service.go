package schedules

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// Definition is what the engine is told of a schedule.
type Definition struct {
	TenantID, ID uuid.UUID
	Name         string
	Plan         Plan
	Policy       Policy
	Paused       bool   // when it is made; afterwards the engine knows
	Note         string // of that pause
}

// Held is what the engine holds of a schedule.
type Held struct {
	Plan   Plan
	Policy Policy
	Paused bool
	Note   string
	Next   []time.Time // with jitter
	Counts FiringCounts
	Taken  []time.Time // nominal times of firings that it has started of late, or whose run goes on
}

// Engine keeps time. Its methods give fault.Unavailable when it cannot be reached, and fault.Invalid for what it
// does not take.
type Engine interface {
	// CreateSchedule makes a schedule; one that exists is no error.
	CreateSchedule(ctx context.Context, d Definition) error
	// FindSchedule gives what it holds; found is false when it knows no such schedule.
	FindSchedule(ctx context.Context, tenant, id uuid.UUID) (h Held, found bool, err error)
	// UpdateSchedule replaces plan, policy and name.
	UpdateSchedule(ctx context.Context, d Definition) error
	// DeleteSchedule ends a schedule; none is no error. Runs that go on do so.
	DeleteSchedule(ctx context.Context, tenant, id uuid.UUID) error
	PauseSchedule(ctx context.Context, tenant, id uuid.UUID, note string) error
	ResumeSchedule(ctx context.Context, tenant, id uuid.UUID, note string) error
	// TriggerSchedule fires now, with the given nominal time. An empty overlap is the schedule's own.
	TriggerSchedule(ctx context.Context, tenant, id uuid.UUID, nominal time.Time, o Overlap) error
	// BackfillSchedule fires for each firing time of a span, both ends included.
	BackfillSchedule(ctx context.Context, tenant, id uuid.UUID, from, to time.Time, o Overlap) error
}

// Runs accepts what schedules begin.
type Runs interface {
	// Check reports whether a run of the template could be accepted, as far as that can be said beforehand.
	Check(ctx context.Context, t Template) error
	// Accept accepts a run of the template with the id, in the caller's transaction, for a workflow that the caller
	// starts. held says that it would have to wait: the caller undoes it then. A run of that id is accepted already.
	Accept(ctx context.Context, t Template, id, schedule uuid.UUID) (held bool, err error)
	// Cancel asks a run to stop; one that has ended or never was is no error.
	Cancel(ctx context.Context, id uuid.UUID, reason string) error
}

// Deps is what the service works with.
type Deps struct {
	DB     *postgres.DB
	Engine Engine
	Runs   Runs
	Rules  Rules
	Logger *slog.Logger
	// Observer may be nil.
	Observer Observer
}

// Service keeps schedules. Each method acts for the tenant of the context.
type Service struct {
	Deps
	store store
}

// NewService makes the service.
func NewService(d Deps) *Service { return &Service{Deps: d, store: store{d.DB}} }

// described is how many schedules the engine is asked about at a time.
const described = 8

// Find gives a schedule.
func (s *Service) Find(ctx context.Context, id uuid.UUID) (Schedule, error) {
	r, h, found, err := s.load(ctx, id)
	return r.view(h, found, time.Now()), err
}

func (s *Service) load(ctx context.Context, id uuid.UUID) (r row, h Held, found bool, err error) {
	if r, err = s.store.find(ctx, id); err != nil {
		return r, h, false, err
	}
	h, found, err = s.Engine.FindSchedule(ctx, r.tenant, id)
	return r, h, found, err
}

// loadHeld is load for what needs the engine to know the schedule.
func (s *Service) loadHeld(ctx context.Context, id uuid.UUID) (row, Held, error) {
	r, h, found, err := s.load(ctx, id)
	if err == nil && !found {
		err = missing()
	}
	return r, h, err
}

func missing() error {
	return fault.New(fault.Conflict, "Temporal does not know the schedule any more: give it a spec again, or delete it.")
}

// FindAll lists schedules, the newest first. The engine is asked about those of the page only, side by side: its own
// list lags behind, so that it would show a schedule running that was just paused.
func (s *Service) FindAll(ctx context.Context, p page.Request) (page.Page[Schedule], error) {
	limit, before, err := p.StartBefore()
	if err != nil {
		return page.Page[Schedule]{}, err
	}
	rows, err := s.store.list(ctx, before, limit+1)
	if err != nil {
		return page.Page[Schedule]{}, err
	}
	rowPage := page.Of(rows, limit, func(r row) string { return r.id.String() })
	views, now := make([]Schedule, len(rowPage.Items)), time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(described)
	for i, r := range rowPage.Items {
		group.Go(func() error {
			h, found, err := s.Engine.FindSchedule(ctx, r.tenant, r.id)
			views[i] = r.view(h, found, now)
			return err
		})
	}
	return page.Page[Schedule]{Items: views, NextCursor: rowPage.NextCursor}, group.Wait()
}

// Create makes a schedule. For a NewSchedule whose id is known it gives the schedule that exists. Errors beside
// those of bad input: QuotaExceeded when the tenant has as many as it may.
func (s *Service) Create(ctx context.Context, n NewSchedule) (Schedule, error) {
	plan, err := n.Spec.Compile(s.Rules, time.Now())
	if err != nil {
		return Schedule{}, err
	}
	if err := checkEnd(ctx, plan.EndAt); err != nil {
		return Schedule{}, err
	}
	if err := s.checkRun(ctx, n.Run); err != nil {
		return Schedule{}, err
	}
	caller, at := scope.From(ctx), clock.Now()
	r := row{
		id: cmp.Or(n.ID, newID()), tenant: caller.Tenant, name: n.Name, run: n.Run, state: creating,
		createdBy: caller.Actor, createdAt: at, updatedAt: at,
	}
	if r, err = s.register(ctx, r); err != nil || r.state == active {
		if err != nil {
			return Schedule{}, err
		}
		return s.Find(ctx, r.id)
	}
	d := Definition{TenantID: r.tenant, ID: r.id, Name: r.name, Plan: plan, Paused: n.Paused, Policy: Policy{
		Overlap: cmp.Or(n.Overlap, OverlapSkip), CatchUp: seconds(n.CatchupWindowSeconds, defaultCatchUp), PauseOnFailure: n.PauseOnFailure,
	}}
	created := s.change(ctx, r.id, changeCreated)
	if n.Paused {
		d.Note = "made paused by " + caller.Actor
	}
	if err := s.Engine.CreateSchedule(ctx, d); err != nil {
		return Schedule{}, s.takeBack(ctx, r, err)
	}
	if err := s.activate(ctx, r.id, n.Paused, d.Note, created); err != nil {
		return Schedule{}, s.takeBack(ctx, r, err)
	}
	return s.Find(ctx, r.id)
}

// register writes the row, or gives the one that an earlier try with the id wrote.
func (s *Service) register(ctx context.Context, r row) (row, error) {
	written, limit, err := s.store.insert(ctx, r)
	switch {
	case err != nil || written:
		return r, err
	}
	known, err := s.store.any(ctx, r.id)
	switch {
	case fault.Is(err, fault.NotFound):
		return r, fault.New(fault.QuotaExceeded, "The quota schedules is used up: the tenant may have %d. Delete one first.", limit)
	case err == nil && known.state == deleting:
		err = notFound()
	}
	return known, err
}

func (s *Service) activate(ctx context.Context, id uuid.UUID, paused bool, note string, created change) error {
	return s.DB.Tx(ctx, func(ctx context.Context) error {
		if err := s.store.setState(ctx, id, active, clock.Now()); err != nil {
			return err
		}
		if err := s.store.addChange(ctx, created); err != nil || !paused {
			return err
		}
		if err := s.store.setSeen(ctx, id, Paused); err != nil {
			return err
		}
		pause := s.change(ctx, id, changePaused)
		pause.note = note
		return s.store.addChange(ctx, pause)
	})
}

// takeBack undoes a schedule that could not be made, and gives the cause. What it cannot undo the sweeper does.
func (s *Service) takeBack(ctx context.Context, r row, cause error) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 8*time.Second)
	defer stop()
	err := s.store.setState(ctx, r.id, deleting, clock.Now())
	if err = errors.Join(err, s.clear(ctx, r.tenant, r.id)); err != nil {
		s.Logger.WarnContext(ctx, "a schedule that could not be made is cleared away later", "schedule_id", r.id, "error", err)
	}
	return cause
}

// clear takes a schedule out of the engine and then out of the database.
func (s *Service) clear(ctx context.Context, tenant, id uuid.UUID) error {
	if err := s.Engine.DeleteSchedule(ctx, tenant, id); err != nil {
		return err
	}
	return s.store.remove(ctx, id)
}

// Delete ends a schedule. Its runs stay, and those that go on do so.
func (s *Service) Delete(ctx context.Context, id uuid.UUID) error {
	r, err := s.store.find(ctx, id)
	if err != nil {
		return err
	}
	if err := s.store.setState(ctx, id, deleting, clock.Now()); err != nil {
		return err
	}
	if err := s.clear(ctx, r.tenant, id); err != nil {
		restore, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer stop()
		// Nothing was deleted, and the caller is told so; if even this fails the sweeper deletes it after all.
		return errors.Join(err, s.store.setState(restore, id, active, clock.Now()))
	}
	return nil
}

// Update changes a schedule. One that the engine does not know any more is made anew if a spec is given.
func (s *Service) Update(ctx context.Context, id uuid.UUID, u Update) (Schedule, error) {
	var plan Plan
	var err error
	if u.Spec != nil {
		if plan, err = u.Spec.Compile(s.Rules, time.Now()); err != nil {
			return Schedule{}, err
		}
	}
	if u.Run != nil {
		if err := s.checkRun(ctx, *u.Run); err != nil {
			return Schedule{}, err
		}
	}
	err = s.held(ctx, id, func(ctx context.Context, r row, h Held, found bool) error {
		if !found && u.Spec == nil {
			return missing()
		}
		end := h.Plan.EndAt
		if u.Spec != nil {
			end = plan.EndAt
		}
		if err := checkEnd(ctx, end); err != nil {
			return err
		}
		d := u.apply(r, h, found, plan)
		r.name, r.updatedAt = d.Name, clock.Now()
		if u.Run != nil {
			r.run = *u.Run
		}
		if err := s.store.update(ctx, r); err != nil {
			return err
		}
		kind := changeUpdated
		if u.Spec != nil || u.Overlap != "" {
			kind = changeRespecified
		}
		if err := s.store.addChange(ctx, s.change(ctx, id, kind)); err != nil {
			return err
		}
		switch {
		case !found:
			return s.Engine.CreateSchedule(ctx, d)
		case u.Name == nil && u.Spec == nil && u.Overlap == "" && u.CatchupWindowSeconds == nil && u.PauseOnFailure == nil:
			return nil // only the template, of which the engine knows nothing
		}
		return s.Engine.UpdateSchedule(ctx, d)
	})
	if err != nil {
		return Schedule{}, err
	}
	return s.Find(ctx, id)
}

// apply gives what the engine is to hold.
func (u Update) apply(r row, h Held, found bool, plan Plan) Definition {
	d := Definition{TenantID: r.tenant, ID: r.id, Name: r.name, Plan: h.Plan, Policy: h.Policy}
	if !found {
		d.Plan, d.Policy = plan, Policy{Overlap: OverlapSkip, CatchUp: defaultCatchUp}
	} else if u.Spec != nil {
		// What is left out by a rule is an operator's; what was skipped stays so while it is a time at all.
		plan.Excluded = h.Plan.withoutSkips().Excluded
		var kept []time.Time
		for _, t := range h.Plan.Skipped(time.Now()) {
			if plan.Fires(t) {
				kept = append(kept, t)
			}
		}
		d.Plan = plan.skipping(kept)
	}
	if u.Name != nil {
		d.Name = *u.Name
	}
	d.Policy.Overlap = cmp.Or(u.Overlap, d.Policy.Overlap)
	d.Policy.CatchUp = seconds(u.CatchupWindowSeconds, d.Policy.CatchUp)
	if u.PauseOnFailure != nil {
		d.Policy.PauseOnFailure = *u.PauseOnFailure
	}
	return d
}

// held runs fn in a transaction that holds the schedule's row: changes of one schedule follow one another, because
// the engine's are read and written as a whole.
func (s *Service) held(ctx context.Context, id uuid.UUID, fn func(ctx context.Context, r row, h Held, found bool) error) error {
	return s.DB.Tx(ctx, func(ctx context.Context) error {
		r, err := s.store.lock(ctx, id)
		if err != nil {
			return err
		}
		h, found, err := s.Engine.FindSchedule(ctx, r.tenant, id)
		if err != nil {
			return err
		}
		return fn(ctx, r, h, found)
	})
}

// checkRun gives a fault of the template the names that the caller knows its fields by.
func (s *Service) checkRun(ctx context.Context, t Template) error {
	err := s.Runs.Check(ctx, t)
	var f *fault.Error
	if !errors.As(err, &f) || len(f.Fields) == 0 {
		return err
	}
	return fault.InvalidField("run."+f.Fields[0].Field, f.Fields[0].Rule, "%s", f.Fields[0].Message)
}

func seconds(n *int, otherwise time.Duration) time.Duration {
	if n == nil {
		return otherwise
	}
	return time.Duration(*n) * time.Second
}

// newID gives a UUIDv7: ids sort by the time they were made.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
