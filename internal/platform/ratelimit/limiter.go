package ratelimit

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

const (
	// Window is what limits count in.
	Window = time.Minute
	// Life is for how long a leased request may be used. The pace of the bucket allows for a whole second; the
	// difference is for what rounding and clocks may get wrong.
	Life = 950 * time.Millisecond
	// Memory is for how long what is known of a tenant's limit is believed without asking again.
	Memory = 3 * time.Second
	// Grace is for how long a tenant without a limit is not held up by the question whether it has one now.
	Grace = time.Second

	batches   = 240              // leases a minute that a busy process needs
	absence   = time.Second      // for how long nobody asks a database that did not answer
	logEvery  = 30 * time.Second // about that
	shards    = 16
	shardSize = 4096 // tenants remembered by a shard
)

// Grant is the bucket's answer to a lease.
type Grant struct {
	Limit     int           // requests a minute; 0: the tenant has no limit, and the rest means nothing
	Granted   int           // of the requests that were asked for
	Remaining int           // whole requests that are left
	Burst     int           // what a full bucket holds
	Every     time.Duration // until one more request is earned
	NextIn    time.Duration // until there is one again; 0: there is
}

// Lease takes up to n requests of the tenant out of its bucket.
type Lease func(ctx context.Context, tenant uuid.UUID, n int) (Grant, error)

// Decision says whether a request is admitted, and what its answer says of the limit.
type Decision struct {
	Allowed   bool
	Limit     int           // requests a minute; 0: none
	Remaining int           // requests that would pass now, as far as this process knows
	Reset     time.Duration // until the bucket is full again
	Retry     time.Duration // until a refused request would pass
}

// Limiter decides for the tenants of one process. It has no goroutine of its own.
type Limiter struct {
	lease Lease
	clock func() time.Time
	start time.Time
	// byDefault is what each process allows, in requests a minute, to a tenant for which nothing is leased; 0: all.
	byDefault int
	log       *slog.Logger
	logged    atomic.Int64 // when the last absence was
	shards    [shards]shard
}

type shard struct {
	mu      sync.RWMutex
	buckets map[uuid.UUID]*bucket
}

// New makes a limiter. byDefault holds in this process for a tenant without a limit of its own, in requests a minute;
// 0: there is no default. clock must be monotonic, as time.Now is.
func New(lease Lease, byDefault int, clock func() time.Time, log *slog.Logger) *Limiter {
	l := &Limiter{lease: lease, byDefault: byDefault, clock: clock, start: clock(), log: log}
	l.logged.Store(-int64(logEvery))
	for i := range l.shards {
		l.shards[i].buckets = map[uuid.UUID]*bucket{}
	}
	return l
}

// now is the time since the limiter was made.
func (l *Limiter) now() time.Duration { return l.clock().Sub(l.start) }

// bucket gives what is known of a tenant. A shard that is full forgets: that costs a lease each.
func (l *Limiter) bucket(tenant uuid.UUID) *bucket {
	s := &l.shards[tenant[len(tenant)-1]%shards]
	s.mu.RLock()
	b := s.buckets[tenant]
	s.mu.RUnlock()
	if b != nil {
		return b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b = s.buckets[tenant]; b == nil {
		if len(s.buckets) >= shardSize {
			clear(s.buckets)
		}
		b = &bucket{}
		s.buckets[tenant] = b
	}
	return b
}

// Take asks for the admission of one request. While the database is away only the default limit holds: requests
// fail by themselves where they need the database.
func (l *Limiter) Take(ctx context.Context, tenant uuid.UUID) Decision {
	b := l.bucket(tenant)
	d := l.take(ctx, tenant, b)
	if d.Limit == 0 && l.byDefault > 0 {
		return b.local.take(l.now(), l.byDefault)
	}
	return d
}

func (l *Limiter) take(ctx context.Context, tenant uuid.UUID, b *bucket) Decision {
	if b.free(l.now()) {
		return Decision{Allowed: true}
	}
	for {
		d, answered, known := b.take(l.now())
		switch {
		case known:
			return d
		case answered == nil:
			if d, known = l.ask(ctx, tenant, b); known {
				return d
			}
		default: // somebody else asks
			select {
			case <-answered:
			case <-ctx.Done():
				return Decision{Allowed: true} // whose time is over fails by that
			}
		}
	}
}

// ask leases for the caller and those who wait. known is false when it has to look again.
func (l *Limiter) ask(ctx context.Context, tenant uuid.UUID, b *bucket) (d Decision, known bool) {
	n := b.wanted()
	asked := l.now()
	// A caller that leaves does not take the answer from the others.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), Life)
	defer stop()
	g, err := l.lease(ctx, tenant, n)
	now := l.now()
	if err != nil {
		l.report(ctx, now, err)
		b.absent(now)
		return Decision{Allowed: true}, true
	}
	return b.settle(g, asked, now)
}

// report says once in a while that limits do not hold.
func (l *Limiter) report(ctx context.Context, now time.Duration, err error) {
	last := l.logged.Load()
	if int64(now)-last >= int64(logEvery) && l.logged.CompareAndSwap(last, int64(now)) {
		l.log.WarnContext(ctx, "requests are admitted without a limit: the database does not answer", "error", err)
	}
}
