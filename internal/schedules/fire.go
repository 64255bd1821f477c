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

var (
	errHeld      = errors.New("the run would be held")
	errConcluded = errors.New("another attempt has concluded the firing")
)

// Fire accepts the run of a firing and records what became of it, in one transaction. What stands against the run
// is recorded and returned, not an error. An error is worth another try, also the Paused of a firing that waits until
// a pause is over. A firing that comes again makes no second run.
func (s *Service) Fire(ctx context.Context, f Firing) (Fired, error) {
	known, ok, err := s.store.firing(ctx, f)
	if err != nil || ok && known.outcome != outcomeWaiting {
		return known.fired(), err
	}
	if ok && known.id == f.nominalID() {
		if err := s.store.adopt(ctx, f); err != nil {
			return Fired{}, err
		}
	}
	r, err := s.store.any(ctx, f.ScheduleID)
	if fault.Is(err, fault.NotFound) || err == nil && r.state == deleting {
		return Fired{Code: fault.NotFound, Detail: "The schedule was deleted."}, nil
	}
	if err != nil {
		return Fired{}, err
	}
	record := firing{
		id: newID(), tenant: r.tenant, schedule: r.id, nominal: f.Nominal, outcome: outcomeStarted, at: clock.Now(), key: f.key(),
	}
	if record.kind, err = s.store.kindOf(ctx, f.ScheduleID, f.Nominal); err != nil {
		return Fired{}, err
	}
	done, err := s.accept(ctx, r, record)
	if errors.Is(err, errConcluded) {
		known, _, err = s.store.firing(ctx, f)
		return known.fired(), err
	}
	return done, err
}

// accept is Fire for a firing of which no conclusion is known.
func (s *Service) accept(ctx context.Context, r row, record firing) (Fired, error) {
	// The run is the schedule's: its creator may be gone by now.
	ctx = scope.With(ctx, scope.Scope{Tenant: r.tenant, Actor: "schedule:" + r.id.String(), RequestID: record.id.String()})
	err := s.DB.Tx(ctx, func(ctx context.Context) error {
		held, err := s.Runs.Accept(ctx, r.run, record.id, r.id)
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
	case errors.Is(err, errConcluded), !refusal(err):
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
	ended, err := s.store.endWaiting(ctx, f, fault.Cancelled, reason)
	if err != nil {
		return err
	}
	if ended {
		s.settled(ctx, Settled{TenantID: scope.From(ctx).Tenant, Outcome: FiringCancelled, N: 1})
		return nil
	}
	known, ok, err := s.store.firing(ctx, f)
	if err != nil || !ok || known.outcome != outcomeStarted {
		return err
	}
	return s.Runs.Cancel(ctx, known.id, reason)
}

// hash is the same for each attempt at a firing, and differs between firings.
func (f Firing) hash() [sha256.Size]byte {
	return sha256.Sum256([]byte(f.ScheduleID.String() + "\n" + f.Nominal.UTC().Format(time.RFC3339Nano) + "\n" + f.Execution))
}

// key is what a firing is recorded under: a UUIDv8 (RFC 9562, 5.8) of the hash.
func (f Firing) key() uuid.UUID {
	sum := f.hash()
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// nominalID is the id that earlier versions gave the run of a firing: a UUIDv7 of its nominal time. Firings that one
// of them took on are known by it.
func (f Firing) nominalID() uuid.UUID {
	sum := f.hash()
	id := uuid.UUID(sum[:16])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(f.Nominal.UnixMilli(), 0)))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}
