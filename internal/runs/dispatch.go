package runs

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

const (
	dispatchEvery = 5 * time.Second
	dispatchLimit = 20 * time.Second // of one pass: a server that went silent does not hold the next one up
	dispatchPage  = 200
)

// RunDispatcher looks after promises that a process made and could not keep because it died or the
// engine was away: accepted runs that were not started, cancels and approvals that were not heard. It also lets
// held runs go when nothing holds them any more. Every API and worker process runs one; they do not get in each
// other's way. It returns when ctx ends.
func (s *Service) RunDispatcher(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { s.dispatchRegularly(ctx) })
	s.dispatchWhenWoken(ctx) // beside the regular passes: a long one must not delay a run whose time has come
	loops.Wait()
}

func (s *Service) dispatchRegularly(ctx context.Context) {
	ticker := time.NewTicker(dispatchEvery)
	defer ticker.Stop()
	for {
		if err := s.Dispatch(ctx); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "the dispatcher's pass was cut short", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Service) dispatchWhenWoken(ctx context.Context) {
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	for {
		due.Reset(s.wake.untilDue(time.Hour))
		select {
		case <-ctx.Done():
			return
		case <-s.wake.signal:
		case <-due.C:
		}
		if err := s.dispatchWoken(ctx); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "what the dispatcher was woken for is left to its next pass", "error", err)
		}
	}
}

// dispatchWoken looks only at what is known to have changed.
func (s *Service) dispatchWoken(ctx context.Context) error {
	ctx, stop := context.WithTimeout(postgres.AsSystem(ctx), dispatchLimit)
	defer stop()
	return s.releaseWoken(ctx, s.wake.take())
}

// Dispatch makes one pass, whose parts go on side by side: one that takes all its time leaves the others theirs.
// What fails for one run does not keep it from the others.
func (s *Service) Dispatch(ctx context.Context) error {
	ctx, stop := context.WithTimeout(postgres.AsSystem(ctx), dispatchLimit)
	defer stop()
	parts := [...]func(context.Context) error{s.startForgotten, s.cancelUnheard, s.signalUnheard, s.releaseHeld}
	var failed [len(parts)]error
	var pass sync.WaitGroup
	for i, part := range parts {
		pass.Go(func() { failed[i] = part(ctx) })
	}
	pass.Wait()
	return errors.Join(failed[:]...)
}

// cancelUnheard ends runs in the queue that were asked to stop, and tells the workflows of the others once more. Those
// end in their own time and may never do so, hence a page of them in each pass, in turn.
func (s *Service) cancelUnheard(system context.Context) error {
	var failed error
	for after := (Place{}); ; {
		queued, err := s.store.cancelling(system, true, s.DispatchIn, after, dispatchPage)
		if err != nil {
			return errors.Join(failed, err)
		}
		failed = cmp.Or(failed, s.stopEach(system, queued))
		if len(queued) < dispatchPage {
			break
		}
		after = queued[len(queued)-1].place
	}
	active, err := s.store.cancelling(system, false, s.DispatchIn, s.wake.places.of(passCancel), dispatchPage)
	if err != nil {
		return errors.Join(failed, err)
	}
	s.wake.places.next(passCancel, active, dispatchPage)
	return cmp.Or(failed, s.stopEach(system, active))
}

// stopEach stops runs of any tenant that were asked to.
func (s *Service) stopEach(system context.Context, all []suspect) (failed error) {
	byTenant := map[uuid.UUID][]uuid.UUID{}
	for _, r := range all {
		byTenant[r.tenant] = append(byTenant[r.tenant], r.id)
	}
	for tenant, ids := range byTenant {
		failed = cmp.Or(failed, s.stopAll(onBehalf(system, tenant, ""), ids))
	}
	return failed
}

// signalUnheard tells workflows of answers that they have perhaps not heard of, a page in each pass. It ends where the
// engine seems to be away; the next pass goes on behind that answer.
func (s *Service) signalUnheard(system context.Context) (failed error) {
	unheard, err := s.store.unsignalledApprovals(system, s.DispatchIn, s.wake.places.of(passApprovals), dispatchPage)
	if err != nil {
		return err
	}
	for i, u := range unheard {
		err := s.signalApproval(onBehalf(system, u.tenant, ""), u.tenant, u.run, u.approval)
		failed = cmp.Or(failed, err)
		if retryable(err) {
			s.wake.places.set(passApprovals, unheard[i].place)
			return failed
		}
	}
	next := Place{}
	if len(unheard) == dispatchPage {
		next = unheard[len(unheard)-1].place
	}
	s.wake.places.set(passApprovals, next)
	return failed
}

// startForgotten hands queued runs to the engine, which knows those that it has. Rows are claimed by
// marking them, one short transaction each, so that replicas share the work. It ends where the engine seems to be
// away; the next pass goes on behind that run.
func (s *Service) startForgotten(system context.Context) error {
	for range dispatchPage {
		after := s.wake.places.of(passStart)
		var claimed *Run
		var refused error
		err := s.DB.Tx(system, func(ctx context.Context) error {
			claimed, refused = nil, nil
			found, err := s.store.undispatched(ctx, s.DispatchIn, after, 1)
			if err != nil || len(found) == 0 {
				return err
			}
			claimed = &found[0]
			s.entitle(ctx, claimed)
			if err := s.Engine.StartRun(ctx, *claimed); retryable(err) {
				return err
			} else if err != nil {
				refused = err
			}
			return s.store.markDispatched(ctx, claimed.ID)
		})
		if claimed == nil {
			s.wake.places.set(passStart, Place{}) // from the beginning again
			return err
		}
		s.wake.places.set(passStart, Place{At: claimed.CreatedAt.Add(time.Millisecond).Time}) // behind it: its time is cut to milliseconds
		if err != nil {
			return err
		}
		if refused != nil {
			if err := s.failUnstarted(postgres.AsTenant(system), *claimed, refused); err != nil {
				return err
			}
		}
	}
	return nil
}

// entitle gives a run that was read from the database its title, if its agent can still be found.
func (s *Service) entitle(ctx context.Context, r *Run) {
	agent, err := s.Agents.ResolveAgent(onBehalf(ctx, r.TenantID, r.RequestID), r.AgentID.String())
	if err != nil {
		agent = AgentRef{Tenant: r.TenantID.String(), Slug: r.AgentID.String()}
	}
	r.Title = agent.title(r.AgentVersion)
}

func retryable(err error) bool {
	return fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Timeout)
}

// failUnstarted ends a run that the engine refuses for good.
func (s *Service) failUnstarted(ctx context.Context, r Run, cause error) error {
	ctx = onBehalf(ctx, r.TenantID, r.RequestID)
	s.Logger.ErrorContext(ctx, "the engine refuses a run", "run_id", r.ID, "error", cause)
	_, err := s.finishOutside(ctx, r.ID, func(Run) (Outcome, bool) {
		return Outcome{Status: Failed, Code: event.ErrorNotStarted, Message: "The run could not be started."}, true
	})
	return err
}

func onBehalf(ctx context.Context, tenant uuid.UUID, requestID string) context.Context {
	return postgres.AsTenant(scope.With(ctx, scope.Scope{Tenant: tenant, Actor: "system", RequestID: requestID}))
}
