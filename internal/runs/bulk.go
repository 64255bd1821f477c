package runs

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

// bulkPage is how many runs one statement of a bulk cancel asks to stop.
const bulkPage = 2000

// CancelAll asks every active run of the tenant that fits the filter to stop, and gives their number. The wish
// is recorded when it returns; the runs end in their own time. A filter that fits every run is refused: whoever
// means that names all the active states.
func (s *Service) CancelAll(ctx context.Context, f Filter, reason string) (int, error) {
	if f.empty() {
		return 0, fault.InvalidField("status", "required_without_all", "is required, or another filter: to stop every run, name queued, running and waiting")
	}
	if err := f.check(); err != nil {
		return 0, err
	}
	for _, status := range f.Status {
		if status.Final() {
			return 0, fault.InvalidField("status", "active", "must name queued, running or waiting: a run that has ended cannot be stopped")
		}
	}
	caller := scope.From(ctx)
	asked, at := 0, now()
	for {
		ids, err := s.store.askCancelAll(ctx, f, caller.Actor, reason, at, bulkPage)
		if len(ids) > 0 {
			asked += len(ids)
			s.wake.stop(caller.Tenant, ids)
		}
		if err != nil || len(ids) < bulkPage {
			return asked, err
		}
	}
}

// empty reports whether every run fits.
func (f Filter) empty() bool {
	return len(f.Status) == 0 && f.AgentID == nil && f.ThreadID == nil && f.ScheduleID == nil && f.WorkspaceID == nil &&
		f.CreatedAfter == nil && f.CreatedBefore == nil
}

// idSlack is how much older a run's id may be than the run: it was reserved by a request with an
// Idempotency-Key that failed, and was made when that was repeated.
const idSlack = 25 * time.Hour

// idAt is the lowest UUIDv7 of a time (RFC 9562 §5.7).
func idAt(t time.Time) uuid.UUID {
	var id uuid.UUID
	ms := max(t.UnixMilli(), 0)
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i))) //nolint:gosec // the byte is what is meant
	}
	id[6] = 0x70
	id[8] = 0x80
	return id
}
