package runs

import (
	"context"
	"errors"
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
	ticker := time.NewTicker(dispatchEvery)
	defer ticker.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	pass := s.Dispatch
	for {
		if err := pass(ctx); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "the dispatcher's pass was cut short", "error", err)
		}
		due.Reset(s.wake.untilDue(time.Hour))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			pass = s.Dispatch
		case <-s.wake.signal:
			pass = s.dispatchWoken
		case <-due.C:
			pass = s.dispatchWoken
		}
	}
}

// dispatchWoken looks only at what is known to have changed.
func (s *Service) dispatchWoken(ctx context.Context) error {
	ctx, stop := context.WithTimeout(postgres.AsSystem(ctx), dispatchLimit)
	defer stop()
	return s.releaseWoken(ctx, s.wake.take())
}

// Dispatch makes one pass. What fails for one run does not keep it from the others.
func (s *Service) Dispatch(ctx context.Context) error {
	ctx, stop := context.WithTimeout(postgres.AsSystem(ctx), dispatchLimit)
	defer stop()
	return errors.Join(s.startForgotten(ctx), s.cancelUnheard(ctx), s.signalUnheard(ctx), s.releaseHeld(ctx))
}

func (s *Service) cancelUnheard(system context.Context) error {
	for {
		cancelling, err := s.store.cancelling(system, s.DispatchIn, dispatchPage)
		if err != nil || len(cancelling) == 0 {
			return err
		}
		byTenant := map[uuid.UUID][]uuid.UUID{}
		for _, r := range cancelling {
			byTenant[r.tenant] = append(byTenant[r.tenant], r.id)
		}
		for tenant, ids := range byTenant {
			if err := s.stopAll(onBehalf(system, tenant, ""), ids); err != nil {
				return err
			}
		}
		// Those in the queue are ended now; the others end in their own time, and are asked again next time.
		if len(cancelling) < dispatchPage || cancelling[0].status != Queued {
			return nil
		}
	}
}

func (s *Service) signalUnheard(system context.Context) (failed error) {
	unheard, err := s.store.unsignalledApprovals(system, s.DispatchIn, dispatchPage)
	if err != nil {
		return err
	}
	for _, u := range unheard {
		err := s.signalApproval(onBehalf(system, u.tenant, ""), u.tenant, u.run, u.approval)
		failed = errors.Join(failed, err)
		if retryable(err) {
			break
		}
	}
	return failed
}

// startForgotten hands queued runs to the engine, which knows those that it has. Rows are claimed by
// marking them, one short transaction each, so that replicas share the work.
func (s *Service) startForgotten(system context.Context) error {
	for range dispatchPage {
		var claimed *Run
		var refused error
		err := s.DB.Tx(system, func(ctx context.Context) error {
			claimed, refused = nil, nil
			found, err := s.store.undispatched(ctx, s.DispatchIn, 1)
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
		if err != nil || claimed == nil {
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
