package runs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// Agents finds what a run executes. ref is an agent's id or slug.
type Agents interface {
	ResolveAgent(ctx context.Context, ref string) (AgentRef, error)
}

// AgentRef is the version of an agent that a run is bound to, and its limits.
type AgentRef struct {
	ID      uuid.UUID
	Slug    string
	Tenant  string // its slug
	Version int
	Limits  Limits
	// Unusable is why no run of the agent can be asked for, although there are runs of it: its model cannot answer here.
	Unusable error
}

// title names a run for people: whose it is and what it executes.
func (a AgentRef) title(version int) string {
	return fmt.Sprintf("%s · %s, version %d", a.Tenant, a.Slug, version)
}

// Threads keeps conversations. Its methods join the caller's transaction.
type Threads interface {
	AppendMessages(ctx context.Context, thread, run uuid.UUID, messages []InputMessage) error
	// WithdrawMessages takes a run's messages back, if nothing was said on the thread after them.
	WithdrawMessages(ctx context.Context, thread, run uuid.UUID) error
	// MessagesBefore gives what was said on the thread before the run.
	MessagesBefore(ctx context.Context, thread, run uuid.UUID) ([]InputMessage, error)
}

// Engine executes runs durably. Its methods give fault.Unavailable when the engine cannot be reached.
type Engine interface {
	// StartRun begins the run's workflow; a run that was started before is no error.
	StartRun(ctx context.Context, r Run) error
	// CancelRun asks the workflow to stop; one that has ended or never was is no error.
	CancelRun(ctx context.Context, tenant, run uuid.UUID) error
	// SignalApproval tells the workflow that an approval was resolved; an ended one is no error.
	SignalApproval(ctx context.Context, tenant, run, approval uuid.UUID) error
	// FindExecution gives what the engine knows of a run; fault.NotFound when it knows nothing.
	FindExecution(ctx context.Context, tenant, run uuid.UUID) (Execution, error)
	// FindExecutions gives a page of the tenant's executions, newest first, by the engine's own listing,
	// which may lag behind by a second.
	FindExecutions(ctx context.Context, tenant uuid.UUID, limit int, cursor string) (items []Execution, next string, err error)
	// FindFate gives what became of a run's workflow.
	FindFate(ctx context.Context, tenant, run uuid.UUID) (Fate, error)
	// FindClosed gives a page of the workflows of runs, of every tenant, that closed in the window, by the
	// engine's own listing. next is "" after the last page.
	FindClosed(ctx context.Context, w Window, limit int) (closed []Closed, next string, err error)
}

// Announcer tells the connectors of recorded lifecycle events. An error means that an event could not
// even be handed over for later delivery: the caller tries again.
type Announcer interface {
	Announce(ctx context.Context, r Run, events []event.Event) error
	// Wants reports whether Announce would tell anybody of the event.
	Wants(r Run, e event.Event) bool
}

// Outbox keeps what remote connectors are to be told in the transaction that records it.
type Outbox interface {
	// Listen gives the statement that reads who listens to the tenant's runs, and what posts to them
	// once it has been read.
	Listen(tenant uuid.UUID) (postgres.Statement, Post)
}

// Post gives the statement that puts events of a run into the outbox, and what to call after its commit; it
// follows the append of the events in their transaction. ok is false when nobody listens.
type Post func(r Run, events []Posted) (statement postgres.Statement, committed func(), ok bool)

// Posted is a lifecycle event for the outbox. It has just been appended, Behind events of the same append
// stand behind it, and its Seq is not known yet.
type Posted struct {
	event.Event
	Behind int
}

// Ledger keeps account of what the tenant's runs use. Its statements go along with those that record a run.
type Ledger interface {
	// Look gives the statement that reads whether steps have to reserve what they may use at most.
	Look(tenant uuid.UUID, limited *bool) postgres.Statement
	// Settle gives the statement that counts what a step used and takes back what it had reserved. passed is
	// filled with the quotas whose soft limit that passed.
	Settle(tenant, run uuid.UUID, step int, u event.Usage, passed *[]string) postgres.Statement
	// Free gives the statement that takes back whatever a run has reserved.
	Free(run uuid.UUID) postgres.Statement
}

// Deps are the ports of a Service.
type Deps struct {
	DB         *postgres.DB
	Log        *Log
	Agents     Agents
	Threads    Threads
	Engine     Engine
	Announcer  Announcer
	Outbox     Outbox
	Ledger     Ledger                 // nil: nobody keeps account
	CheckURL   func(raw string) error // whether a webhook may be sent there
	Observer   ReconcileObserver
	Logger     *slog.Logger
	DispatchIn time.Duration // how old an undispatched run or unheard cancel is when it is looked after; zero: 10 s
	Explains   Explaining
}

// Service is what can be done with runs. Each method acts for the tenant of the context.
type Service struct {
	Deps
	store store
	wake  *wake
}

// NewService makes the service.
func NewService(d Deps) *Service {
	if d.DispatchIn == 0 {
		d.DispatchIn = 10 * time.Second
	}
	return &Service{Deps: d, store: d.Log.store, wake: newWake()}
}

// Find gives a run; fault.NotFound when the tenant has none of that id.
func (s *Service) Find(ctx context.Context, id uuid.UUID) (Run, error) { return s.store.find(ctx, id) }

// Shown gives a run as callers see it: without its limits and whatever else only the service needs.
func (s *Service) Shown(ctx context.Context, id uuid.UUID) (Run, error) {
	return s.store.shown(ctx, id)
}

// Cancel asks a run to stop. A run that waits in the queue is ended here and now; any other is ended
// by its workflow. Asking twice is asking once; a run that has ended gives fault.RunFinal.
func (s *Service) Cancel(ctx context.Context, id uuid.UUID, reason string) (Run, error) {
	by := scope.From(ctx).Actor
	r, events, err := s.change(ctx, id, func(ctx context.Context, r *Run) ([]event.Draft, error) {
		at := now()
		if err := r.AskCancel(by, reason, at); err != nil {
			return nil, err
		}
		if r.Status == Queued {
			return s.endOutside(ctx, r, Outcome{Status: Cancelled}, at)
		}
		return nil, s.store.tellStop(ctx, id)
	})
	if err != nil {
		return Run{}, err
	}
	if len(events) > 0 {
		if err := s.tell(ctx, r, events); err != nil {
			return Run{}, err
		}
	}
	if err := s.Engine.CancelRun(ctx, r.TenantID, r.ID); err != nil {
		// The wish is recorded: the dispatcher repeats the request until the engine hears it.
		s.Logger.WarnContext(ctx, "the engine did not hear a cancel yet", "run_id", r.ID, "error", err)
	}
	return r, nil
}

// WaitFinal returns the run once it has ended, or as it is when ctx ends first.
func (s *Service) WaitFinal(ctx context.Context, id uuid.UUID) (Run, error) {
	err := s.Log.Follow(ctx, id, 0, func([]event.Event) error { return nil })
	if err != nil && ctx.Err() == nil {
		return Run{}, err
	}
	return s.store.find(context.WithoutCancel(ctx), id)
}

// Send puts a message into a live run; it is injected before the next step. messageID is the message's
// id, zero for a new one: a message that is there already is not sent again.
func (s *Service) Send(ctx context.Context, id, messageID uuid.UUID, text string) (LiveMessage, error) {
	if messageID == uuid.Nil {
		messageID = newID()
	}
	m := LiveMessage{ID: messageID, Content: text, CreatedBy: scope.From(ctx).Actor, CreatedAt: now()}
	_, _, err := s.change(ctx, id, func(ctx context.Context, r *Run) ([]event.Draft, error) {
		if err := r.TakesMessages(); err != nil {
			return nil, err
		}
		if created, err := s.store.insertMessage(ctx, r.TenantID, r.ID, m); err != nil || !created {
			return nil, err
		}
		if r.Status == Queued { // every log begins with run_started: it will be followed by this one
			return nil, nil
		}
		return []event.Draft{m.received()}, nil
	})
	return m, err
}

// change applies fn to a run and writes its new state and the events that fn gives in one transaction of
// two round trips: statements of with follow the run's lock in the first, state, events and what remote
// connectors are told of them go with the commit in the second.
func (s *Service) change(
	ctx context.Context, id uuid.UUID, fn func(context.Context, *Run) ([]event.Draft, error), with ...postgres.Statement,
) (r Run, events []event.Event, err error) {
	err = s.DB.Tx(ctx, func(ctx context.Context) error {
		events = nil
		listeners, post := s.Outbox.Listen(scope.Tenant(ctx))
		if r, err = s.store.lock(ctx, id, append(with, listeners)...); err != nil {
			return err
		}
		closed := r.Status.Final()
		drafts, err := fn(ctx, &r)
		if err != nil {
			return err
		}
		if closed && len(drafts) > 0 {
			return fault.New(fault.RunFinal, "The run has ended: it is %s.", r.Status)
		}
		batch, err := encode(r.ID, now(), drafts)
		if err != nil {
			return err
		}
		postgres.AfterCommit(ctx, func() { s.Log.publish(events) })
		if !closed && r.Status.Final() {
			postgres.AfterCommit(ctx, func() { s.wake.ended(r) })
		}
		var more []postgres.Statement
		if statement, committed, ok := post(r, lifecycle(batch)); ok {
			postgres.AfterCommit(ctx, committed)
			more = append(more, statement)
		}
		return s.store.save(ctx, r, batch, &events, more...)
	})
	return r, events, err
}

// lifecycle gives those of a batch that connectors are told.
func lifecycle(batch []pending) []Posted {
	var events []Posted
	for i, p := range batch {
		if p.typ.Hook() != event.HookNone {
			events = append(events, Posted{Event: p.event(), Behind: len(batch) - 1 - i})
		}
	}
	return events
}

func (s *Service) announce(ctx context.Context, r Run, events []event.Event) error {
	if len(events) == 0 {
		return nil
	}
	return s.Announcer.Announce(ctx, r, events)
}

// newID gives a UUIDv7: ids sort by the time they were made.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
