// Package pace keeps the speed of the machine out of what tests decide. A test waits for causes and for order; where
// only a duration shows what is wrong, it measures with a Watch, which takes off what other programs took of the
// processor.
package pace

import (
	"sync"
	"testing"
	"time"
)

// Patience is how many times longer than on an idle machine a test waits for what has to happen before it calls it
// missing. It costs time only where something is wrong.
const Patience = 8

const (
	// sample is the processor time that one look at the speed takes: longer than a kernel lets a thread that has just
	// woken up go on alone.
	sample = 10 * time.Millisecond
	// every is the pause between two looks: they take a twentieth of one processor.
	every = 200 * time.Millisecond
)

// Watch measures how long something takes at the speed of an idle machine.
type Watch struct {
	began time.Time
	stop  chan struct{}
	done  chan struct{}

	mu         sync.Mutex
	wall, used time.Duration // of all looks
}

// Start begins to measure. The watch looks at the speed of the machine until the test ends.
func Start(t testing.TB) *Watch {
	t.Helper()
	w := &Watch{began: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	t.Cleanup(func() {
		close(w.stop)
		<-w.done
	})
	return w
}

func (w *Watch) run() {
	defer close(w.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case due := <-tick.C:
			w.look(due)
		}
	}
}

// look measures what a thread gets from when it was due: also the wait for a processor counts.
func (w *Watch) look(due time.Time) {
	used := spin(sample)
	wall := time.Since(due)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wall, w.used = w.wall+wall, w.used+used
}

// Took returns the time since Start, divided by how much slower than alone a thread was meanwhile: never more than what
// the clock says.
func (w *Watch) Took() time.Duration {
	took := time.Since(w.began)
	w.look(time.Now()) // what is over quickly was not looked at
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Duration(float64(took) * min(1, float64(w.used)/float64(w.wall)))
}
