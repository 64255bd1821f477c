package runs

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

const (
	releasePage = 200 // held runs of one kind that are read at once
	releaseTurn = 50  // of them of one tenant
)

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
	return errors.Join(failed, s.releaseTenants(system, what.tenants))
}

// releaseHeld makes one pass over the held runs of every tenant: those whose time has come, those whose thread
// is free, and those that wait for a slot or the end of a pause.
func (s *Service) releaseHeld(system context.Context) error {
	if in, ok, err := s.store.nextDue(system, 2*dispatchEvery); err != nil {
		return err
	} else if ok {
		s.wake.dueIn(in)
	}
	failed := errors.Join(s.releaseInTurns(system, s.store.heldDue), s.releaseInTurns(system, s.store.heldHeads))
	tenants, err := s.store.heldTenants(system)
	if err != nil {
		return errors.Join(failed, err)
	}
	// In any order: a pass that is cut short does not leave out the same ones each time.
	rand.Shuffle(len(tenants), func(i, j int) { tenants[i], tenants[j] = tenants[j], tenants[i] })
	return errors.Join(failed, s.releaseTenants(system, tenants))
}

// releaseInTurns releases the runs of a list to its end, page by page. Each page has the first of every tenant before the
// second of any, so no tenant waits behind all of another's. What stays where it is (it has to wait, another process has it,
// it fails) is left out of the pages that follow.
func (s *Service) releaseInTurns(
	system context.Context, list func(ctx context.Context, without []uuid.UUID, limit int) ([]heldRun, error),
) (failed error) {
	stayed := []uuid.UUID{}
	for system.Err() == nil {
		page, err := list(system, stayed, releasePage)
		if err != nil || len(page) == 0 {
			return cmp.Or(failed, err)
		}
		ids, err := s.releaseAll(system, page)
		stayed, failed = append(stayed, ids...), cmp.Or(failed, err)
		if len(page) < releasePage {
			break
		}
	}
	return failed
}

// releaseAll releases runs side by side, and returns those that are where they were and the first failure.
func (s *Service) releaseAll(system context.Context, held []heldRun) (stayed []uuid.UUID, failed error) {
	var group errgroup.Group
	group.SetLimit(asked)
	moved := make([]bool, len(held))
	for i, h := range held {
		group.Go(func() error {
			by, err := s.release(system, h)
			moved[i] = err == nil && by != h.by && by != holdUnknown
			return err
		})
	}
	failed = group.Wait()
	for i, h := range held {
		if !moved[i] {
			stayed = append(stayed, h.id)
		}
	}
	return stayed, failed
}

// releaseTenants lets the held runs of tenants go, each tenant's oldest first, until one of them has to wait on. The
// tenants take turns, a page of each.
func (s *Service) releaseTenants(system context.Context, tenants []uuid.UUID) (failed error) {
	after := map[uuid.UUID]uuid.UUID{}
	for len(tenants) > 0 && system.Err() == nil {
		var more []uuid.UUID
		for _, tenant := range tenants {
			last, err := s.releaseTenant(system, tenant, after[tenant])
			failed = cmp.Or(failed, err)
			if last != uuid.Nil {
				after[tenant] = last
				more = append(more, tenant)
			}
		}
		tenants = more
	}
	return failed
}

// releaseTenant lets a page of a tenant's held runs go, and returns the last of them; uuid.Nil when the tenant has no more,
// or one of them has to wait on. A run that fails does not keep the others.
func (s *Service) releaseTenant(system context.Context, tenant, after uuid.UUID) (last uuid.UUID, failed error) {
	held, err := s.store.heldOf(onBehalf(system, tenant, ""), tenant, after, releaseTurn)
	if err != nil || len(held) == 0 {
		s.wake.wantsSlot(tenant, err != nil)
		return uuid.Nil, err
	}
	for _, h := range held {
		hold, err := s.release(system, h)
		failed = cmp.Or(failed, err)
		if hold == HoldPause || hold == HoldQuota {
			s.wake.wantsSlot(tenant, true)
			return uuid.Nil, failed
		}
	}
	return held[len(held)-1].id, failed
}

// holdUnknown is returned for a run that could not be looked at: it was stopped, another process has it, or another run took
// its thread at that moment. It is never stored.
const holdUnknown Hold = "unknown"

// release starts a held run if nothing stands against it any more, and returns what it is held by otherwise.
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
			by = holdUnknown
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
		return holdUnknown, nil
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
