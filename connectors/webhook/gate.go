package webhook

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/sony/gobreaker/v2"

	"github.com/larirun/lari/connectors"
)

// Limits say what receivers may take of a process. What is zero has the default.
type Limits struct {
	PerReceiver int           // requests at a time to one that is well; 4
	Doubtful    int           // requests at a time to all that are not known to be well; 150
	Failing     int           // of those, to ones that failed the last time; 100
	TripAfter   uint32        // failures in a row that open a receiver's circuit; 5
	OpenFor     time.Duration // how long it stays open before one request tries again; 30 s
}

func (l Limits) withDefaults() Limits {
	if l.PerReceiver <= 0 {
		l.PerReceiver = 4
	}
	if l.Doubtful <= 0 {
		l.Doubtful = 150
	}
	if l.Failing <= 0 {
		l.Failing = 100
	}
	if l.TripAfter == 0 {
		l.TripAfter = 5
	}
	if l.OpenFor <= 0 {
		l.OpenFor = 30 * time.Second
	}
	return l
}

const (
	rememberedGates = 8192 // receivers; one that is forgotten begins anew
	waitForTurn     = 500 * time.Millisecond
	maxWaiting      = 32 // deliveries that wait in the process for their turn; others come back later
	comeBack        = 500 * time.Millisecond
	latestComeBack  = 5 * time.Minute
)

// Gates keep receivers apart: a receiver has as many requests at a time as it may, one while it is not
// known to be well, none while its circuit is open; and all that are not known to be well have a share of
// the process only. So receivers that hang cannot take what the others need.
//
//	unknown ──success──► well ──failure──► failing ──TripAfter failures──► open ──OpenFor──► one request
//	                      ▲────────────────── success ─────────────────────────────────────────┘
type Gates struct {
	limits Limits

	mu       sync.Mutex
	gates    *lru.Cache[string, *gate]
	doubtful int // requests under way to receivers that are not known to be well
	waiting  int // deliveries that wait for their turn
}

// gate is one receiver's; Gates.mu guards it.
type gate struct {
	breaker  *gobreaker.TwoStepCircuitBreaker[struct{}]
	health   health
	inFlight int
	since    time.Time     // when the requests under way began to be any
	took     time.Duration // of the last request
	openedAt time.Time
	next     time.Time     // when the next delivery that is sent away may come back
	left     chan struct{} // closed when a request ends
}

type health int

const (
	unknown health = iota
	well
	failing
)

// NewGates makes the gates of a process.
func NewGates(l Limits) *Gates {
	cache, err := lru.New[string, *gate](rememberedGates)
	if err != nil { // the size is a constant above zero
		return nil
	}
	return &Gates{limits: l.withDefaults(), gates: cache}
}

// through calls send when the receiver's gate lets it, else it gives a *connectors.Postponed. healthy is
// what is known of a receiver that this process has not met.
func (g *Gates) through(ctx context.Context, key string, healthy bool, send func() (connectors.Report, error)) (connectors.Report, error) {
	r, held, err := g.enter(ctx, key, healthy)
	if err != nil {
		return connectors.Report{}, err
	}
	began := time.Now()
	failed := errPanicked
	defer func() { g.leave(r, held, time.Since(began), failed, ctx.Err() != nil) }()
	report, err := send()
	failed = err
	return report, err
}

// admission is what a request holds while it is under way.
type admission struct {
	done  func(error)
	doubt bool
}

func (g *Gates) enter(ctx context.Context, key string, healthy bool) (*gate, admission, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.gate(key, healthy)
	patience := time.NewTimer(waitForTurn)
	defer patience.Stop()
	for {
		a, busy, err := g.try(r)
		if !busy || !r.quick(time.Now()) || g.waiting >= maxWaiting {
			return r, a, err
		}
		left := r.left
		g.waiting++
		g.mu.Unlock()
		over := false
		select {
		case <-left:
		case <-patience.C:
			over = true
		case <-ctx.Done():
			over = true
		}
		g.mu.Lock()
		g.waiting--
		if over {
			return r, admission{}, err
		}
	}
}

// quick reports whether a request to the receiver will probably end soon.
func (r *gate) quick(now time.Time) bool {
	return r.health == well && r.took < waitForTurn || r.health == unknown && now.Sub(r.since) < waitForTurn
}

// try admits a request or says why not; busy: a request that ends may make room.
func (g *Gates) try(r *gate) (a admission, busy bool, err error) {
	now := time.Now()
	limit, share := g.limits.PerReceiver, 0
	switch r.health {
	case well:
	case unknown:
		limit, share = 1, g.limits.Doubtful
	case failing:
		limit, share = 1, min(g.limits.Failing, g.limits.Doubtful)
	}
	if r.inFlight >= limit {
		return a, true, r.later(now, limit, comeBack, "as many requests as may be are under way to the receiver")
	}
	if share > 0 && g.doubtful >= share {
		return a, false, r.later(now, limit, comeBack, "as many requests as may be are under way to receivers that are not known to be well")
	}
	done, err := r.breaker.Allow()
	switch {
	case errors.Is(err, gobreaker.ErrOpenState):
		return a, false, r.later(now, limit, max(r.openedAt.Add(g.limits.OpenFor).Sub(now), comeBack), "the receiver failed again and again")
	case err != nil:
		return a, false, r.later(now, limit, comeBack, "one request finds out whether the receiver is back")
	}
	if r.inFlight == 0 {
		r.since = now
	}
	r.inFlight++
	if share > 0 {
		g.doubtful++
	}
	return admission{done: done, doubt: share > 0}, false, nil
}

// leave notes how a request went. One that this process broke off says nothing of the receiver.
func (g *Gates) leave(r *gate, a admission, took time.Duration, err error, brokenOff bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.inFlight--
	if a.doubt {
		g.doubtful--
	}
	close(r.left)
	r.left = make(chan struct{})
	if brokenOff {
		a.done(errBrokenOff)
		return
	}
	r.took = took
	if err == nil || errors.Is(err, connectors.ErrRefused) { // it answers, and quickly enough
		r.health, r.next = well, time.Time{}
		a.done(nil)
		return
	}
	r.health = failing
	a.done(err)
}

var (
	errBrokenOff = errors.New("broken off")
	errPanicked  = errors.New("panicked")
)

// later sends a delivery away. Those of one receiver come back one after the other, as fast as it has
// answered lately: a thousand that wait for a receiver that hangs do not ask all the time.
func (r *gate) later(now time.Time, limit int, least time.Duration, why string) error {
	pace := r.took
	if r.inFlight > 0 {
		pace = max(pace, now.Sub(r.since))
	}
	pace = max(pace/time.Duration(limit), 20*time.Millisecond)
	if soonest := now.Add(least); r.next.Before(soonest) {
		r.next = soonest
	}
	after := r.next.Sub(now)
	if after >= latestComeBack {
		after = latestComeBack - rand.N(latestComeBack/4) //nolint:gosec // nobody gains by guessing when
	} else {
		r.next = r.next.Add(pace)
	}
	return &connectors.Postponed{After: after.Round(time.Millisecond), Reason: why}
}

func (g *Gates) gate(key string, healthy bool) *gate {
	if r, ok := g.gates.Get(key); ok {
		return r
	}
	r := &gate{left: make(chan struct{})}
	if !healthy {
		r.health = failing
	}
	r.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: key, Timeout: g.limits.OpenFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= g.limits.TripAfter },
		OnStateChange: func(_ string, _, to gobreaker.State) { // only within Allow and done, which are called under the lock
			if to == gobreaker.StateOpen {
				r.openedAt = time.Now()
			}
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errBrokenOff) },
	})
	g.gates.Add(key, r)
	return r
}
