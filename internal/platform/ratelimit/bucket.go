package ratelimit

import (
	"sync"
	"sync/atomic"
	"time"
)

// bucket is what a process knows of a tenant's bucket. Times are the limiter's.
type bucket struct {
	freeUntil atomic.Int64 // no limit until then
	local     localBucket  // for the default limit

	mu      sync.Mutex
	grant   Grant
	at      time.Duration // when the last lease was asked for
	leased  int           // requests in hand
	expires time.Duration // of those in hand
	refused time.Duration // nothing is to be had until then
	due     time.Duration // when the next request is, by the last refusal
	asking  chan struct{} // is closed when the answer is there; nil: nobody asks
	waiting int           // who waits for that answer
	woken   int           // who waited for the last one
}

// free reports whether the tenant is known to have no limit.
func (b *bucket) free(now time.Duration) bool { return int64(now) < b.freeUntil.Load() }

// wasFree reports whether the tenant had no limit until a moment ago.
func (b *bucket) wasFree(now time.Duration) bool {
	until := b.freeUntil.Load()
	return until > 0 && int64(now) < until+int64(Grace)
}

// take decides by what is known. Otherwise answered says when to try again; nil: the caller is the one who
// has to ask.
func (b *bucket) take(now time.Duration) (d Decision, answered <-chan struct{}, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.free(now):
		return Decision{Allowed: true}, nil, true
	case b.leased > 0 && now < b.expires:
		b.leased--
		return b.decision(now, true), nil, true
	case now < b.refused:
		return b.decision(now, false), nil, true
	case b.asking == nil:
		b.asking = make(chan struct{})
		return Decision{}, nil, false
	case b.grant.Limit == 0 && b.wasFree(now): // it had no limit a moment ago, and most probably has none now
		return Decision{Allowed: true}, nil, true
	}
	b.waiting++
	return Decision{}, b.asking, false
}

// wanted is how many requests are worth a lease: the callers at hand, or a quarter of a second's share.
func (b *bucket) wanted() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(1+b.waiting, b.woken, b.grant.Limit/batches)
}

// settle takes the answer to a lease, and decides for who asked.
func (b *bucket) settle(g Grant, asked, now time.Duration) (d Decision, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.answer()
	b.grant, b.at, b.leased, b.expires, b.refused = g, asked, g.Granted, asked+Life, 0
	switch {
	case g.Limit == 0:
		b.freeUntil.Store(int64(now + Memory))
		return Decision{Allowed: true}, true
	case g.Granted == 0:
		b.due = now + max(g.NextIn, time.Millisecond)
		b.refused = min(b.due, now+Memory) // the limit may be raised meanwhile
		b.freeUntil.Store(0)
		return b.decision(now, false), true
	}
	b.freeUntil.Store(0)
	if now >= b.expires {
		return Decision{}, false
	}
	b.leased--
	return b.decision(now, true), true
}

// absent admits all for a moment: the database is not asked again by each.
func (b *bucket) absent(now time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.answer()
	b.freeUntil.Store(int64(now + absence))
}

// answer wakes those who wait.
func (b *bucket) answer() {
	close(b.asking)
	b.asking, b.waiting, b.woken = nil, 0, b.waiting
}

func (b *bucket) decision(now time.Duration, allowed bool) Decision {
	g := b.grant
	d := Decision{Allowed: allowed, Limit: g.Limit}
	if !allowed {
		d.Retry = max(b.due-now, time.Millisecond)
		d.Reset = d.Retry + time.Duration(g.Burst-1)*g.Every
		return d
	}
	earned := 0
	if g.Every > 0 {
		earned = int((now - b.at) / g.Every)
	}
	d.Remaining = min(g.Remaining+b.leased+earned, g.Burst-1)
	d.Reset = time.Duration(g.Burst-d.Remaining) * g.Every
	return d
}
