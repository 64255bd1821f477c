package runs

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

// releasePage bounds how many held runs of one kind, or of one tenant, a pass looks at.
const releasePage = 200

// FreeTenant says that held runs of the context's tenant may begin: its pause was lifted or a quota raised.
// They are looked at at once by this process, and within seconds by any other.
func (s *Service) FreeTenant(ctx context.Context) { s.wake.free(scope.Tenant(ctx)) }

// FreeAll is FreeTenant for every tenant.
func (s *Service) FreeAll() { s.wake.freeAll() }

// releaseWoken looks at what this process knows to have changed.
func (s *Service) releaseWoken(system context.Context, what woken) error {
	var failed error
	for tenant, ids := range what.stops {
		failed = errors.Join(failed, s.stopAll(onBehalf(system, tenant, ""), ids))
	}
	if what.all {
		return errors.Join(failed, s.releaseHeld(system))
	}
	for _, t := range what.threads {
		held, ok, err := s.store.heldOn(onBehalf(system, t.tenant, ""), t.thread)
		if err == nil && ok {
			_, err = s.release(system, held)
		}
		failed = errors.Join(failed, err)
	}
	for _, tenant := range what.tenants {
		failed = errors.Join(failed, s.releaseTenant(system, tenant))
	}
	return failed
}

// releaseHeld makes one pass over the held runs of every tenant: those whose time has come, those whose thread
// is free, and those that wait for a slot or the end of a pause.
func (s *Service) releaseHeld(system context.Context) error {
	if in, ok, err := s.store.nextDue(system, 2*dispatchEvery); err != nil {
		return err
	} else if ok {
		s.wake.dueIn(in)
	}
	for {
		due, err := s.store.heldDue(system, releasePage)
		if err != nil {
			return err
		}
		if err := s.releaseAll(system, due); err != nil {
			return err
		}
		if len(due) < releasePage {
			break
		}
	}
	heads, err := s.store.heldHeads(system, releasePage)
	if err != nil {
		return err
	}
	tenants, err := s.store.heldTenants(system)
	if err != nil {
		return err
	}
	failed := s.releaseAll(system, heads)
	for _, tenant := range tenants {
		failed = errors.Join(failed, s.releaseTenant(system, tenant))
	}
	return failed
}

// releaseAll releases runs side by side.
func (s *Service) releaseAll(system context.Context, held []heldRun) error {
	var group errgroup.Group
	group.SetLimit(asked)
	for _, h := range held {
		group.Go(func() error {
			_, err := s.release(system, h)
			return err
		})
	}
	return group.Wait()
}

// releaseTenant lets a tenant's held runs go, oldest first, until one of them has to wait on.
func (s *Service) releaseTenant(system context.Context, tenant uuid.UUID) error {
	ctx := onBehalf(system, tenant, "")
	after, waits := uuid.Nil, false
	for !waits {
		held, err := s.store.heldOf(ctx, tenant, after, releasePage)
		if err != nil || len(held) == 0 {
			s.wake.wantsSlot(tenant, err != nil)
			return err
		}
		for _, h := range held {
			after = h.id
			hold, err := s.release(system, h)
			if err != nil {
				return err
			}
			if waits = hold == HoldPause || hold == HoldQuota; waits {
				break
			}
		}
	}
	s.wake.wantsSlot(tenant, true)
	return nil
}

// release starts a held run if nothing stands against it any more, and gives what it is held by otherwise.
func (s *Service) release(system context.Context, h heldRun) (Hold, error) {
	ctx := onBehalf(system, h.tenant, "")
	var r Run
	var by Hold
	var free bool
	var superseded []uuid.UUID
	err := s.DB.Tx(ctx, func(ctx context.Context) error {
		free, by, superseded = false, "", nil
		held, a, ok, err := s.store.takeHeld(ctx, h.tenant, h.id)
		if err != nil || !ok {
			return err
		}
		r, by = held, a.verdict.Hold
		switch {
		case r.DueAt != nil && r.DueAt.After(now()):
			by = HoldDelay
		case a.busy:
			by = HoldThread
			if r.Held.By == HoldDelay { // it comes to the thread only now
				if superseded, err = s.supersede(ctx, r, by); err != nil {
					return err
				}
			}
		case by == "":
			free = true
			if err := s.store.hold(ctx, r.ID, "", now()); err != nil || r.ThreadID == nil {
				return err
			}
			return s.Threads.AppendMessages(ctx, *r.ThreadID, r.ID, r.Input)
		}
		if by == r.Held.By {
			return nil
		}
		return s.store.hold(ctx, r.ID, by, now())
	})
	switch {
	case fault.Is(err, fault.ThreadBusy): // another run took the thread first
		return HoldThread, nil
	case err != nil:
		return "", err
	}
	s.stopSoon(ctx, superseded)
	if by == HoldQuota {
		s.wake.wantsSlot(h.tenant, true)
	}
	if !free {
		return by, nil
	}
	r.Held = nil
	s.entitle(ctx, &r)
	if err := s.Engine.StartRun(ctx, r); err != nil && !retryable(err) {
		return "", s.failUnstarted(ctx, r, err)
	} else if err != nil { // it is let go: the dispatcher starts what the engine did not hear of
		s.Logger.WarnContext(onBehalf(ctx, r.TenantID, r.RequestID), "the engine did not hear of a run that is held no longer", "run_id", r.ID, "error", err)
	}
	return "", nil
}
