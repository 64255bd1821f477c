package idempotency

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

// Limits of a key's life.
const (
	MaxKeyBytes  = 255
	Retention    = 24 * time.Hour   // how long an answer is kept; Sweep removes older ones
	lockFor      = 60 * time.Second // how long a holder is believed to be alive
	waitFor      = 5 * time.Second  // how long a second request waits for the first one's answer
	pollFirst    = 10 * time.Millisecond
	pollMax      = 250 * time.Millisecond
	concludeTime = 5 * time.Second
)

// Keys remembers the answers to keyed requests. It is safe for concurrent use, also by many processes
// over one database.
type Keys struct {
	store store
	log   *slog.Logger
}

// New makes the service over the database.
func New(db *postgres.DB, log *slog.Logger) *Keys { return &Keys{store: store{db: db}, log: log} }

// Request is what a key stands for. The tenant comes from the context; without one the key is the platform's.
type Request struct {
	Route string            // method and path template
	Key   string            // the header's value
	Hash  [sha256.Size]byte // of method, target and body
}

// Answer is what the first request was told.
type Answer struct {
	Status   int
	Location string
	Body     []byte
}

// CheckKey refuses as Malformed what is no key: 1 to 255 visible ASCII characters.
func CheckKey(key string) error {
	ok := len(key) >= 1 && len(key) <= MaxKeyBytes
	for i := 0; ok && i < len(key); i++ {
		ok = key[i] > ' ' && key[i] < 0x7f
	}
	if !ok {
		return fault.New(fault.Malformed, "Idempotency-Key must be 1 to %d visible ASCII characters without spaces.", MaxKeyBytes)
	}
	return nil
}

// Do runs make for the first request with the key and hands its answer to all others (replayed is then
// true). make finds the id for what it makes with ResourceID.
//
// Errors: those of make; IdempotencyMismatch when the key was used with another request;
// IdempotencyBusy when the first one has not answered after five seconds.
func (k *Keys) Do(
	ctx context.Context, r Request, make func(context.Context) (Answer, error),
) (answer Answer, replayed bool, err error) {
	held, finished, err := k.hold(ctx, r)
	if err != nil {
		return Answer{}, false, err
	}
	if finished != nil {
		return *finished, true, nil
	}
	concluded := false
	defer func() {
		if !concluded { // make panicked: how far it came is not known
			k.conclude(ctx, "unlock", func(ctx context.Context) error { return k.store.unlock(ctx, r, held) })
		}
	}()
	answer, err = make(WithResourceID(ctx, held.resource))
	switch {
	case err == nil:
		k.conclude(ctx, "finish", func(ctx context.Context) error { return k.store.finish(ctx, r, held, answer) })
	case madeNothing(err) && !held.taken: // an earlier holder may have made something before this one refused
		k.conclude(ctx, "forget", func(ctx context.Context) error { return k.store.forget(ctx, r, held) })
	default:
		k.conclude(ctx, "unlock", func(ctx context.Context) error { return k.store.unlock(ctx, r, held) })
	}
	concluded = true
	return answer, false, err
}

// Resume is Do for answers that cannot be stored, such as streams. show is called for every request with
// the key and finds the same ResourceID each time: it makes the thing unless it exists, then shows it.
// again is true when an earlier request had the key.
//
// Errors: those of show; IdempotencyMismatch when the key was used with another request.
func (k *Keys) Resume(ctx context.Context, r Request, show func(context.Context) error) (again bool, err error) {
	held, first, err := k.claim(ctx, r)
	if err != nil {
		return false, err
	}
	err = show(WithResourceID(ctx, held.resource))
	if first && err != nil && madeNothing(err) {
		k.conclude(ctx, "forget", func(ctx context.Context) error { return k.store.forget(ctx, r, held) })
	}
	return !first, err
}

// claim reserves the key or joins those who have it; first tells which.
func (k *Keys) claim(ctx context.Context, r Request) (held reservation, first bool, err error) {
	held, ok, err := k.store.reserve(ctx, r)
	if err != nil || ok {
		return held, ok && !held.taken, err
	}
	rec, found, err := k.store.find(ctx, r)
	switch {
	case err != nil:
		return reservation{}, false, err
	case !found: // it was freed in between; the caller may simply try again
		return reservation{}, false, busy()
	case rec.hash != r.Hash:
		return reservation{}, false, mismatch()
	}
	return reservation{resource: rec.resource}, false, nil
}

// Sweep deletes keys of every tenant that are older than the given age and gives their number.
func (k *Keys) Sweep(ctx context.Context, olderThan time.Duration) (int64, error) {
	return k.store.sweep(postgres.AsSystem(ctx), olderThan)
}

// hold reserves the key, or gives the answer that it already has.
func (k *Keys) hold(ctx context.Context, r Request) (reservation, *Answer, error) {
	deadline, waiting := time.Now().Add(waitFor), false
	for pause := pollFirst; ; pause = min(2*pause, pollMax) {
		held, ok, err := k.store.reserve(ctx, r)
		if ok && err == nil {
			return held, nil, nil
		}
		var rec record
		var found bool
		if err == nil {
			rec, found, err = k.store.find(ctx, r)
		}
		switch {
		case err != nil && waiting && ctx.Err() != nil: // the caller's time ended within a statement
			return reservation{}, nil, busy()
		case err != nil:
			return reservation{}, nil, err
		case found && rec.hash != r.Hash:
			return reservation{}, nil, mismatch()
		case found && rec.answer != nil:
			return reservation{}, rec.answer, nil
		case time.Now().After(deadline):
			return reservation{}, nil, busy()
		}
		waiting = true
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return reservation{}, nil, busy()
		}
	}
}

// conclude writes how the request ended even when its own time is over. When that fails, the lock runs
// out by itself and the next request with the key takes over, with the same resource id.
func (k *Keys) conclude(ctx context.Context, what string, write func(context.Context) error) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), concludeTime)
	defer stop()
	if err := write(ctx); err != nil {
		k.log.WarnContext(ctx, "an idempotency key could not be concluded", "step", what, "error", err)
	}
}

// madeNothing reports whether the failure proves that nothing was made, so that the key may be used
// again for a corrected request. After any other failure only the same request may use it.
func madeNothing(err error) bool {
	switch fault.CodeOf(err) {
	case fault.Malformed, fault.Unauthenticated, fault.Forbidden, fault.TenantSuspended, fault.NotFound, fault.MethodNotAllowed,
		fault.Conflict, fault.RunFinal, fault.ThreadBusy, fault.TooLarge, fault.UnsupportedMedia, fault.Invalid,
		fault.IdempotencyMismatch, fault.IdempotencyBusy, fault.RateLimited, fault.QuotaExceeded, fault.Paused:
		return true
	case fault.Unavailable, fault.Timeout, fault.Cancelled, fault.Internal:
		return false
	}
	return false
}

func mismatch() error {
	return fault.New(fault.IdempotencyMismatch, "This Idempotency-Key was used with another request. Use a new key.")
}

func busy() error {
	return fault.New(fault.IdempotencyBusy, "The first request with this Idempotency-Key has not been answered yet.").
		After(time.Second)
}

var errLostReservation = errors.New("another request took the reservation over")
