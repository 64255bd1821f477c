package runs

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
)

const (
	// DefaultStartsPerTenant bounds the starts of one tenant that are under way in this process.
	DefaultStartsPerTenant = 4
	// startsAtOnce bounds those of all tenants together.
	startsAtOnce = 64
	// maxQueuedStarts bounds what one tenant has in the queue of this process; the dispatcher starts the rest.
	maxQueuedStarts = 2000
	// DefaultStartPatience is how long a request waits for the start of its run.
	DefaultStartPatience = 50 * time.Millisecond
)

// starter hands accepted runs to the engine. A tenant has a bounded number of starts under way and a queue of its
// own; queues are served in turn, so that a tenant with many runs delays only itself. It has no goroutine while
// there is nothing to start. What it drops, because a queue is full, the engine does not answer or the process
// ends, is in the database and is started by the dispatcher.
type starter struct {
	perTenant int // starts of one tenant under way
	start     func(ctx context.Context, r Run) error
	abandoned func(ctx context.Context, r Run, err error) // receives the failures of starts that no request waits for

	mu       sync.Mutex
	tenants  map[uuid.UUID]*startQueue // those with starts under way or queued
	turns    []uuid.UUID               // tenants with queued starts, the next one first
	underWay int
	stopped  bool
	running  sync.WaitGroup
}

type startQueue struct {
	underWay int
	waiting  []*startAttempt
}

// startAttempt is one start. Its result is read after done is closed.
type startAttempt struct {
	ctx  context.Context //nolint:containedctx // the request's values; it does not end with the request
	run  Run
	done chan struct{}
	err  error

	awaited bool // guarded by the starter: a request waits for the result and handles it
}

func newStarter(perTenant int, start func(context.Context, Run) error, abandoned func(context.Context, Run, error)) *starter {
	return &starter{perTenant: perTenant, start: start, abandoned: abandoned, tenants: map[uuid.UUID]*startQueue{}}
}

// Start starts a run and waits at most so long for the result; started is false when the result is not known by
// then. A run that has to queue is not waited for.
func (s *starter) Start(ctx context.Context, r Run, patience time.Duration) (started bool, err error) {
	r.Input, r.Metadata = nil, nil // the engine needs neither, and the queue would keep them in memory
	a := &startAttempt{ctx: context.WithoutCancel(ctx), run: r, done: make(chan struct{})}
	if !s.submit(a) {
		return false, nil
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-a.done:
	case <-timer.C:
		if s.abandon(a) {
			return false, nil
		}
	case <-ctx.Done():
		if s.abandon(a) {
			return false, nil
		}
	}
	return true, a.err
}

// submit begins or queues the attempt; it reports whether it began.
func (s *starter) submit(a *startAttempt) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	tenant := a.run.TenantID
	q := s.tenants[tenant]
	if q == nil {
		q = &startQueue{}
		s.tenants[tenant] = q
	}
	if q.underWay < s.perTenant && s.underWay < startsAtOnce {
		a.awaited = true
		q.underWay++
		s.underWay++
		s.running.Go(func() { s.run(a) })
		return true
	}
	if len(q.waiting) < maxQueuedStarts {
		if q.waiting = append(q.waiting, a); len(q.waiting) == 1 {
			s.turns = append(s.turns, tenant)
		}
	}
	return false
}

// abandon reports whether the attempt is still under way: then nobody waits for it any more.
func (s *starter) abandon(a *startAttempt) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-a.done:
		return false
	default:
		a.awaited = false
		return true
	}
}

// run starts the attempt and then, in its place, what is next.
func (s *starter) run(a *startAttempt) {
	for a != nil {
		s.attempt(a)
		a = s.next(a)
	}
}

func (s *starter) attempt(a *startAttempt) {
	defer func() {
		if p := recover(); p != nil {
			a.err = fault.New(fault.Internal, "The start of a run panicked: %v", p)
		}
	}()
	a.err = s.start(a.ctx, a.run)
}

// next ends an attempt and gives the one that takes its place; nil: none is due.
func (s *starter) next(ended *startAttempt) *startAttempt {
	s.mu.Lock()
	awaited := ended.awaited
	close(ended.done)
	s.mu.Unlock()
	if !awaited && ended.err != nil {
		s.abandoned(ended.ctx, ended.run, ended.err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.tenants[ended.run.TenantID]
	q.underWay--
	s.underWay--
	defer func() {
		if q.underWay == 0 && len(q.waiting) == 0 {
			delete(s.tenants, ended.run.TenantID)
		}
	}()
	for i, tenant := range s.turns {
		due := s.tenants[tenant]
		if due.underWay >= s.perTenant {
			continue
		}
		a := due.waiting[0]
		due.waiting = due.waiting[1:]
		s.turns = append(s.turns[:i:i], s.turns[i+1:]...)
		if len(due.waiting) > 0 {
			s.turns = append(s.turns, tenant)
		}
		due.underWay++
		s.underWay++
		return a
	}
	return nil
}

// Stop drops what is queued, and waits for the starts under way until ctx ends.
func (s *starter) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopped, s.turns = true, nil
	for _, q := range s.tenants {
		q.waiting = nil
	}
	s.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		s.running.Wait()
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
