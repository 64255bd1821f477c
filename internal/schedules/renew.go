package schedules

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// coverage is what the entries are to cover when they are written now. Years that were added for a backfill stay until
// the turn of the year.
func (h Held) coverage(now time.Time) Coverage {
	of := coverageAt(now)
	if h.Covered.To >= of.To {
		of.From = min(of.From, h.Covered.From)
	}
	return of
}

// renewed returns the entries as they are to be, also for a backfill from a time on, which may be zero. stale is false
// when the engine holds just these. They are not when a year has passed since they were written, when the rules of the
// zone have changed, and when an earlier version wrote them.
func (h Held) renewed(now, from time.Time) (e Entries, stale bool) {
	of := h.coverage(now)
	if !from.IsZero() {
		of.From = min(of.From, from.UTC().Year())
	}
	e = h.Plan.Entries(of)
	return e, !e.same(h.Entries)
}

// renew writes the entries of a schedule anew. It waits for other changes of the schedule, as they do for it.
func (s *Service) renew(ctx context.Context, id uuid.UUID, from time.Time) error {
	err := s.DB.Tx(ctx, func(ctx context.Context) error {
		r, err := s.store.lock(ctx, id)
		if err != nil {
			return err
		}
		var before Held
		err = s.Engine.RenewSchedule(ctx, r.tenant, id, func(h Held) (e Entries, stale bool) {
			if e, stale = h.renewed(time.Now(), from); stale {
				before = h
			}
			return e, stale
		})
		if err != nil || before.Entries.Zone == nil {
			return err
		}
		return s.forgetPast(ctx, r, before)
	})
	if fault.Is(err, fault.NotFound) { // deleted in between
		return nil
	}
	return err
}

// forgetPast records that nothing is known of the past of a schedule that did not fire by its plan there: an earlier
// version wrote its entries, or nobody has renewed them for years.
func (s *Service) forgetPast(ctx context.Context, r row, before Held) error {
	now := clock.Now()
	changes, err := s.store.changes(ctx, r.id, now.Time)
	if err != nil {
		return err
	}
	if before.Entries.agrees(before.Plan, knownFrom(r, changes), now.Time) {
		return nil
	}
	return s.store.addChange(ctx, s.change(ctx, r.id, changeRespecified))
}

// knownFrom is since when a schedule has its present spec and overlap policy.
func knownFrom(r row, changes []change) time.Time {
	known := r.createdAt.Time
	for _, c := range changes {
		if c.kind == changeCreated || c.kind == changeRespecified {
			known = c.at.Time
		}
	}
	return known
}
