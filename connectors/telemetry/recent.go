package telemetry

import (
	"sync"

	"github.com/google/uuid"

	"github.com/larirun/lari/connectors"
)

// remembered is how many of the latest events a process knows again: a minute's at 70 runs a second, in
// less than half a megabyte.
const remembered = 8192

// recent knows the latest events, so that one that is announced again (because another connector could
// not be told) is counted once. One that is told again after that, or to another process, counts twice.
type recent struct {
	mu    *sync.Mutex
	known map[position]bool
	ring  []position
	next  int
}

type position struct {
	run uuid.UUID
	seq int64
}

func newRecent(size int) recent {
	return recent{mu: new(sync.Mutex), known: make(map[position]bool, size), ring: make([]position, 0, size)}
}

// first remembers the event; it reports whether it was not known.
func (r *recent) first(e connectors.Event) bool {
	p := position{e.RunID, e.Seq}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[p] {
		return false
	}
	if len(r.ring) < cap(r.ring) {
		r.ring = append(r.ring, p)
	} else {
		delete(r.known, r.ring[r.next])
		r.ring[r.next] = p
		r.next = (r.next + 1) % len(r.ring)
	}
	r.known[p] = true
	return true
}
