package telemetry

import (
	"sync"
	"time"
)

const (
	// activeEnough is how often a tenant is counted within a window before it takes one of the last places.
	activeEnough = 20
	// watched bounds the tenants whose activity is followed.
	watched = 1024
)

// gate keeps the last quarter of the places for values that are active: a crowd that comes once each,
// such as the tenants of a nightly job, must not take the places of those that come to stay.
type gate struct {
	open   int // places that anybody may take
	places int
	window time.Duration
	now    func() time.Time

	mu    sync.Mutex
	until time.Time
	seen  *sketch
}

func newGate(places int, window time.Duration, now func() time.Time) *gate {
	return &gate{open: places - places/4, places: places, window: window, now: now, seen: newSketch(watched)}
}

// room gives how many places may be taken after the value has taken one, when so many are; where only those
// that are active may, it counts the value.
func (g *gate) room(value string, taken int) int {
	if taken < g.open {
		return g.open
	}
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.After(g.until) {
		g.seen.forget()
		g.until = now.Add(g.window)
	}
	if g.seen.add(value) >= activeEnough {
		return g.places
	}
	return 0
}
