package schedules

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

// Kind says what brought a firing about.
type Kind string

// The kinds of firings.
const (
	KindSchedule Kind = "schedule" // its time came
	KindTrigger  Kind = "trigger"  // somebody wanted it now
	KindBackfill Kind = "backfill" // somebody wanted what the past has not seen
)

// Firing is a firing as the engine brings it.
type Firing struct {
	ScheduleID uuid.UUID
	Nominal    time.Time
	Execution  string // of the engine, the same however often it tries
}

// Fired is what became of a firing: a run, or the reason why there is none.
type Fired struct {
	RunID  *uuid.UUID
	Code   fault.Code
	Detail string
}

// waitHeld is how soon a firing that has to wait is tried again.
const waitHeld = 5 * time.Second

var errHeld = errors.New("the run would be held")

// Fire accepts the run of a firing and records what became of it, in one transaction. What stands against the run
// is recorded and given, not an error. An error is worth another try, also the Paused of a firing that waits until
// a pause is over. A firing that comes again makes no second run.
func (s *Service) Fire(ctx context.Context, f Firing) (Fired, error) {
	id := runID(f)
	if known, ok, err := s.store.firing(ctx, id); err != nil {
		return Fired{}, err
	} else if ok && known.outcome != outcomeWaiting {
		return known.fired(), nil
	}
	r, err := s.store.any(ctx, f.ScheduleID)
	if fault.Is(err, fault.NotFound) || err == nil && r.state == deleting {
		return Fired{Code: fault.NotFound, Detail: "The schedule was deleted."}, nil
	}
	if err != nil {
		return Fired{}, err
	}
	record := firing{
		id: id, tenant: r.tenant, schedule: r.id, nominal: f.Nominal, outcome: outcomeStarted, at: clock.Now(),
	}
	if record.kind, err = s.store.kindOf(ctx, f.ScheduleID, f.Nominal); err != nil {
		return Fired{}, err
	}
	// The run is the schedule's: its creator may be gone by now.
	ctx = scope.With(ctx, scope.Scope{Tenant: r.tenant, Actor: "schedule:" + r.id.String(), RequestID: id.String()})
	err = s.DB.Tx(ctx, func(ctx context.Context) error {
		held, err := s.Runs.Accept(ctx, r.run, id, r.id)
		switch {
		case err != nil:
			return err
		case held:
			return errHeld
		}
		return s.store.record(ctx, record)
	})
	switch {
	case err == nil:
		s.settled(ctx, record.settled())
		return record.fired(), nil
	case errors.Is(err, errHeld):
		record.outcome, record.code, record.detail = outcomeWaiting, fault.Paused, "New runs are held until a pause is over."
		if err := s.store.record(ctx, record); err != nil {
			return Fired{}, err
		}
		return Fired{}, fault.New(fault.Paused, "The firing waits: new runs are held until a pause is over.").After(waitHeld)
	case !refusal(err):
		return Fired{}, err
	}
	var why *fault.Error
	errors.As(err, &why)
	record.outcome, record.code, record.detail = outcomeRefused, why.Code, why.Detail
	if err := s.store.record(ctx, record); err != nil {
		return Fired{}, err
	}
	s.settled(ctx, record.settled())
	return record.fired(), nil
}

// refusal reports whether an error says no, and will say so again.
func refusal(err error) bool {
	switch fault.CodeOf(err) {
	case fault.Unavailable, fault.Timeout, fault.Cancelled, fault.Internal, "":
		return false
	case fault.Malformed, fault.Unauthenticated, fault.Forbidden, fault.TenantSuspended, fault.NotFound, fault.MethodNotAllowed,
		fault.Conflict, fault.RunFinal, fault.ThreadBusy, fault.TooLarge, fault.UnsupportedMedia, fault.Invalid,
		fault.IdempotencyMismatch, fault.IdempotencyBusy, fault.RateLimited, fault.QuotaExceeded, fault.Paused:
	}
	return true
}

// CancelFiring ends a firing that the engine was told to stop: its run is cancelled, or it does not come to one.
func (s *Service) CancelFiring(ctx context.Context, f Firing, reason string) error {
	id := runID(f)
	ended, err := s.store.endWaiting(ctx, id, fault.Cancelled, reason)
	if err != nil {
		return err
	}
	if ended {
		s.settled(ctx, Settled{TenantID: scope.From(ctx).Tenant, Outcome: FiringCancelled, N: 1})
	}
	return s.Runs.Cancel(ctx, id, reason)
}

// runID gives the id of a firing's run: a UUIDv7 (RFC 9562, 5.7) of its nominal time, with a hash in place of chance.
func runID(f Firing) uuid.UUID {
	sum := sha256.Sum256([]byte(f.ScheduleID.String() + "\n" + f.Nominal.UTC().Format(time.RFC3339Nano) + "\n" + f.Execution))
	var id uuid.UUID
	copy(id[:], sum[:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(f.Nominal.UnixMilli(), 0)))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}
