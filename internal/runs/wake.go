package runs

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// wake tells the dispatcher of this process what it need not wait for its next pass with: threads and tenants
// whose held runs may have become free, runs that were asked to stop, and when the next delay is over. All of it
// is in the database too; what a process forgets when it dies, a pass finds.
type wake struct {
	signal chan struct{}
	places places // of its regular passes

	mu      sync.Mutex
	threads map[onThread]bool
	tenants map[uuid.UUID]bool
	stops   map[uuid.UUID][]uuid.UUID // by tenant
	all     bool
	due     time.Time
	short   map[uuid.UUID]bool // tenants known to have runs that wait for a slot
}

type onThread struct{ tenant, thread uuid.UUID }

func newWake() *wake {
	w := &wake{signal: make(chan struct{}, 1), short: map[uuid.UUID]bool{}}
	w.take()
	return w
}

// woken is what the dispatcher is to look at.
type woken struct {
	threads []onThread
	tenants []uuid.UUID
	stops   map[uuid.UUID][]uuid.UUID
	all     bool
}

// take gives what came together and begins anew.
func (w *wake) take() woken {
	w.mu.Lock()
	defer w.mu.Unlock()
	what := woken{slices.Collect(maps.Keys(w.threads)), slices.Collect(maps.Keys(w.tenants)), w.stops, w.all}
	if !w.due.IsZero() && !time.Now().Before(w.due) {
		what.all, w.due = true, time.Time{}
	}
	w.threads, w.tenants, w.stops, w.all = map[onThread]bool{}, map[uuid.UUID]bool{}, map[uuid.UUID][]uuid.UUID{}, false
	return what
}

func (w *wake) change(what func()) {
	w.mu.Lock()
	what()
	w.mu.Unlock()
	select {
	case w.signal <- struct{}{}:
	default: // it has been told to look already
	}
}

// ended says that a run has ended: who waited for its thread or its slot may begin.
func (w *wake) ended(r Run) {
	w.mu.Lock()
	waiting := w.short[r.TenantID]
	w.mu.Unlock()
	if r.ThreadID == nil && !waiting {
		return
	}
	w.change(func() {
		if r.ThreadID != nil {
			w.threads[onThread{r.TenantID, *r.ThreadID}] = true
		}
		if waiting {
			w.tenants[r.TenantID] = true
		}
	})
}

// held says that a run is held: for a slot, or for a time that the next pass would be late for.
func (w *wake) held(r Run) {
	if r.Held.By == HoldDelay && r.DueAt != nil {
		w.change(func() {
			if w.due.IsZero() || r.DueAt.Time.Before(w.due) {
				w.due = r.DueAt.Time
			}
		})
	}
}

// free says that a tenant's held runs may begin.
func (w *wake) free(tenant uuid.UUID) { w.change(func() { w.tenants[tenant] = true }) }

// freeAll says that any held run may begin.
func (w *wake) freeAll() { w.change(func() { w.all = true }) }

// stop says that runs of a tenant were asked to stop.
func (w *wake) stop(tenant uuid.UUID, ids []uuid.UUID) {
	w.change(func() { w.stops[tenant] = append(w.stops[tenant], ids...) })
}

// wantsSlot remembers whether runs of the tenant wait for a slot.
func (w *wake) wantsSlot(tenant uuid.UUID, wants bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if wants {
		w.short[tenant] = true
	} else {
		delete(w.short, tenant)
	}
}

// untilDue gives how long it is until the next known delay is over; at most the given time.
func (w *wake) untilDue(atMost time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.due.IsZero() {
		return atMost
	}
	return min(max(time.Until(w.due), 0), atMost)
}

// dueIn says that a delay is over after a while.
func (w *wake) dueIn(d time.Duration) {
	w.change(func() {
		if at := time.Now().Add(d); w.due.IsZero() || at.Before(w.due) {
			w.due = at
		}
	})
}
