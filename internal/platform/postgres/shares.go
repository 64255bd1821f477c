package postgres

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// shares decides who gets the next connection of the pool. A tenant has at most its share of them, so that some are
// always left for the others; who waits is served in turn, tenant by tenant, so that the length of one tenant's
// queue is nobody else's delay. What acts for no tenant (uuid.Nil) has its turn like a tenant, and no bound.
type shares struct {
	share int // connections of one tenant

	mu      sync.Mutex
	free    int
	tenants map[uuid.UUID]*tenantShare // those with connections or waiters
	turns   []uuid.UUID                // tenants with waiters, the next one first
	counted shareStat
}

// shareStat counts what waited for its share.
type shareStat struct {
	waited, cancelled int64
	waitTime          time.Duration
}

func (s *shares) stat() shareStat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counted
}

type tenantShare struct {
	held    int
	waiting []chan struct{} // oldest first; closed when it has its connection
}

// newShares shares out a pool: half of it is out of reach for any single tenant. The smallest pools are not
// divided, because a request may hold one connection while it needs a second one.
func newShares(conns int32) *shares {
	n := int(conns)
	return &shares{share: max((n+1)/2, min(n, 3)), free: n, tenants: map[uuid.UUID]*tenantShare{}}
}

// acquire returns when the tenant may take a connection, or with the error of ctx. Whoever succeeds calls release.
func (s *shares) acquire(ctx context.Context, tenant uuid.UUID) error {
	turn := s.enter(tenant)
	if turn == nil {
		return nil
	}
	began := time.Now()
	select {
	case <-turn:
		s.count(shareStat{waited: 1, waitTime: time.Since(began)})
		return nil
	case <-ctx.Done():
		s.count(shareStat{cancelled: 1})
		if !s.leave(tenant, turn) {
			s.release(tenant) // it came at the same time
		}
		return ctx.Err()
	}
}

func (s *shares) count(more shareStat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counted.waited += more.waited
	s.counted.cancelled += more.cancelled
	s.counted.waitTime += more.waitTime
}

// enter takes a connection (nil) or a place in the queue.
func (s *shares) enter(tenant uuid.UUID) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[tenant]
	if t == nil {
		t = &tenantShare{}
		s.tenants[tenant] = t
	}
	// While somebody waits, every free connection is one that no waiting tenant may take.
	if s.free > 0 && len(t.waiting) == 0 && s.hasRoom(tenant, t) {
		s.free--
		t.held++
		return nil
	}
	turn := make(chan struct{})
	if t.waiting = append(t.waiting, turn); len(t.waiting) == 1 {
		s.turns = append(s.turns, tenant)
	}
	return turn
}

func (s *shares) hasRoom(tenant uuid.UUID, t *tenantShare) bool {
	return tenant == uuid.Nil || t.held < s.share
}

// leave gives a place in the queue up; it reports whether there was one.
func (s *shares) leave(tenant uuid.UUID, turn chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[tenant]
	i := slices.Index(t.waiting, turn)
	if i < 0 {
		return false
	}
	t.waiting = slices.Delete(t.waiting, i, i+1)
	if len(t.waiting) == 0 {
		s.turns = slices.DeleteFunc(s.turns, func(other uuid.UUID) bool { return other == tenant })
		s.forget(tenant, t)
	}
	return true
}

// release hands a connection on to the next tenant that may have it.
func (s *shares) release(tenant uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[tenant]
	t.held--
	s.free++
	for i, next := range s.turns {
		n := s.tenants[next]
		if !s.hasRoom(next, n) {
			continue
		}
		turn := n.waiting[0]
		n.waiting = n.waiting[1:]
		n.held++
		s.free--
		s.turns = slices.Delete(s.turns, i, i+1)
		if len(n.waiting) > 0 {
			s.turns = append(s.turns, next)
		}
		close(turn)
		break
	}
	s.forget(tenant, t)
}

func (s *shares) forget(tenant uuid.UUID, t *tenantShare) {
	if t.held == 0 && len(t.waiting) == 0 {
		delete(s.tenants, tenant)
	}
}
