package audit

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

const (
	// refusalWindow is how long refusals of one kind are one entry, after the first of them.
	refusalWindow = time.Minute
	// maxRefusalKinds bounds what is counted at a time; beyond it counts are written before their window is over.
	maxRefusalKinds = 10_000
	// refusalTick is how often windows are looked at.
	refusalTick = 5 * time.Second
)

// refusals keeps a caller whose requests are refused from filling the log, which nobody may clear: of a caller, a route
// and a code the first refusal is an entry, and those of the minute after it are one more, with their number.
type refusals struct {
	mu    sync.Mutex
	kinds map[refusalKind]*refusalCount
}

type refusalKind struct {
	tenant           uuid.UUID
	actor, operation string
	code             fault.Code
}

type refusalCount struct {
	began time.Time
	n     int  // after the first
	last  Call // of them
}

func newRefusals() *refusals { return &refusals{kinds: map[refusalKind]*refusalCount{}} }

// add counts a refusal; it reports whether it is the first, which is an entry of its own.
func (r *refusals) add(tenant uuid.UUID, c Call, at time.Time) (first bool) {
	kind := refusalKind{tenant, c.Actor, c.Operation, c.Code}
	r.mu.Lock()
	defer r.mu.Unlock()
	count := r.kinds[kind]
	if count == nil {
		r.kinds[kind] = &refusalCount{began: at}
		return true
	}
	count.n++
	count.last = c
	return false
}

// full reports whether counts are to be written now.
func (r *refusals) full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.kinds) >= maxRefusalKinds
}

// take returns the counts whose window is over, as calls by tenant, and begins anew.
func (r *refusals) take(over func(began time.Time) bool) map[uuid.UUID][]Call {
	taken := map[uuid.UUID][]Call{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for kind, count := range r.kinds {
		if !over(count.began) {
			continue
		}
		delete(r.kinds, kind)
		if count.n > 0 {
			c := count.last
			c.Repeated = count.n
			if count.n > 1 {
				c.ResourceID, c.RequestID = "", "" // of one of them
			}
			taken[kind.tenant] = append(taken[kind.tenant], c)
		}
	}
	return taken
}

// writeRefusals adds the counts whose window is over.
func (s *Service) writeRefusals(ctx context.Context, over func(began time.Time) bool) {
	for tenant, calls := range s.refusals.take(over) {
		ctx := scope.With(ctx, scope.Scope{Tenant: tenant, Actor: "system"})
		for _, c := range calls {
			if c.At.IsZero() {
				c.At = clock.Now()
			}
			_, _ = s.addCall(ctx, c, false) // what cannot be kept is reported there
		}
	}
}

// runRefusals writes counts when their window is over, until ctx ends, and then those that are left.
func (s *Service) runRefusals(ctx context.Context) {
	tick := time.NewTicker(refusalTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.writeRefusals(context.WithoutCancel(ctx), func(time.Time) bool { return true })
			return
		case <-tick.C:
			s.writeRefusals(ctx, func(began time.Time) bool { return time.Since(began) >= refusalWindow })
		}
	}
}
