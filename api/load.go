package api

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/quotas"
)

// StreamLimit returns how many streams the context's tenant may have open in this process; nil: there is no limit.
type StreamLimit func(ctx context.Context) (*int, error)

const (
	// turnPatience is how long a request waits for its turn among those of its tenant.
	turnPatience = 5 * time.Second
	// turnsWaiting bounds how many requests of a tenant wait, as a multiple of those that are worked on.
	turnsWaiting = 32

	retryTurn   = time.Second
	retryStream = 5 * time.Second
)

// load is what tenants have under way in this process: requests, of which a tenant has a bounded number at a time and
// the others wait, and streams, of which those beyond the limit are refused. One tenant's flood waits for itself.
type load struct {
	atOnce      int // requests of a tenant; 0: unbounded
	perCaller   int // streams of a caller; 0: unbounded
	streamLimit StreamLimit

	mu      sync.Mutex
	tenants map[uuid.UUID]*tenantLoad // those with anything under way
}

type tenantLoad struct {
	requests int
	waiting  []chan struct{} // oldest first; closed when it is its turn
	streams  int
	callers  map[string]int // streams, by subject
}

func newLoad(atOnce, perCaller int, limit StreamLimit) *load {
	return &load{atOnce: atOnce, perCaller: perCaller, streamLimit: limit, tenants: map[uuid.UUID]*tenantLoad{}}
}

// enter counts a request in and returns what counts it out, which is called once. RateLimited: too many others wait,
// or its turn did not come in time.
func (l *load) enter(ctx context.Context, tenant uuid.UUID) (leave func(), err error) {
	if l.atOnce == 0 || tenant == uuid.Nil { // what the platform does is no tenant's
		return func() {}, nil
	}
	turn, err := l.queue(tenant)
	if err != nil {
		return nil, err
	}
	leave = func() { l.leave(tenant) }
	if turn == nil {
		return leave, nil
	}
	timer := time.NewTimer(turnPatience)
	defer timer.Stop()
	select {
	case <-turn:
		return leave, nil
	case <-timer.C:
		err = l.tooMany()
	case <-ctx.Done():
		err = ctx.Err()
	}
	if !l.giveUp(tenant, turn) {
		leave() // its turn came at the same time
	}
	return nil, err
}

func (l *load) tooMany() error {
	return fault.New(fault.RateLimited, "The tenant has too many requests under way: this process works on %d of them at a time.",
		l.atOnce).After(retryTurn)
}

func (l *load) of(tenant uuid.UUID) *tenantLoad {
	t := l.tenants[tenant]
	if t == nil {
		t = &tenantLoad{callers: map[string]int{}}
		l.tenants[tenant] = t
	}
	return t
}

func (l *load) forget(tenant uuid.UUID, t *tenantLoad) {
	if t.requests == 0 && len(t.waiting) == 0 && t.streams == 0 {
		delete(l.tenants, tenant)
	}
}

// queue takes a place among those that are worked on (nil) or that wait.
func (l *load) queue(tenant uuid.UUID) (chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.of(tenant)
	switch {
	case t.requests < l.atOnce:
		t.requests++
		return nil, nil
	case len(t.waiting) >= turnsWaiting*l.atOnce:
		return nil, l.tooMany()
	}
	turn := make(chan struct{})
	t.waiting = append(t.waiting, turn)
	return turn, nil
}

// leave hands the place on to who has waited longest.
func (l *load) leave(tenant uuid.UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tenants[tenant]
	if len(t.waiting) > 0 {
		close(t.waiting[0])
		t.waiting = t.waiting[1:]
		return
	}
	t.requests--
	l.forget(tenant, t)
}

// giveUp takes a request out of the queue; it reports whether it was there.
func (l *load) giveUp(tenant uuid.UUID, turn chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tenants[tenant]
	i := slices.Index(t.waiting, turn)
	if i < 0 {
		return false
	}
	t.waiting = slices.Delete(t.waiting, i, i+1)
	return true
}

// open counts a stream in and returns what counts it out, which is called once. QuotaExceeded: the tenant or the
// caller has as many as it may.
func (l *load) open(ctx context.Context, tenant uuid.UUID, caller string) (end func(), err error) {
	if tenant == uuid.Nil {
		return func() {}, nil
	}
	var limit *int
	if l.streamLimit != nil {
		if limit, err = l.streamLimit(ctx); err != nil {
			return nil, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.of(tenant)
	defer l.forget(tenant, t)
	switch {
	case limit != nil && t.streams >= *limit:
		return nil, fault.New(fault.QuotaExceeded, "The quota %s is used up: %d of %d are open in this process. It frees when one ends.",
			quotas.Streams, t.streams, *limit).After(retryStream)
	case l.perCaller > 0 && t.callers[caller] >= l.perCaller:
		return nil, fault.New(fault.QuotaExceeded, "This caller has %d streams open in this process, the most for one. It frees when one ends.",
			l.perCaller).After(retryStream)
	}
	t.streams++
	t.callers[caller]++
	return func() { l.end(tenant, caller) }, nil
}

func (l *load) end(tenant uuid.UUID, caller string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tenants[tenant]
	t.streams--
	if t.callers[caller]--; t.callers[caller] == 0 {
		delete(t.callers, caller)
	}
	l.forget(tenant, t)
}
