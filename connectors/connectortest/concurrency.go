package connectortest

import (
	"sync"
	"testing"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
)

// crowd is how many runs speak at once.
const crowd = 32

// checkConcurrency tells whole runs from many goroutines at once. What two goroutines break together the
// race detector says.
func checkConcurrency(t testing.TB, s Subject) {
	r := s.New(t)
	stories := make([][]connectors.Event, crowd)
	for i := range stories {
		stories[i] = r.story(t, []event.Type{event.RunCompleted, event.RunError, event.RunCancelled}[i%3])
	}
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		expected []Effect
		failed   []error
		hung     int
	)
	for _, story := range stories {
		wg.Go(func() {
			for _, e := range story {
				if r.Connector.Name(); !wants(r.Connector, e) {
					continue
				}
				o := r.tell(t.Context(), e, patience)
				mu.Lock()
				switch {
				case o.hung:
					hung++
				case o.err != nil:
					failed = append(failed, o.err)
				case o.panicked == nil && s.leaves(e):
					expected = append(expected, Effect{RunID: e.RunID, Type: e.Type})
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(failed) > 0 || hung > 0 {
		t.Errorf("of the calls of %d runs at once %d were refused and %d hung: %v", crowd, len(failed), hung, failed[:min(len(failed), 3)])
		return
	}
	if r.Effects == nil {
		return
	}
	// A hook that leaves nothing at all is the matter of another check: only what some runs left and
	// others did not was lost here.
	left := map[event.Type]bool{}
	for _, x := range r.Effects() {
		left[x.Type] = true
	}
	kept := expected[:0]
	for _, x := range expected {
		if left[x.Type] {
			kept = append(kept, x)
		}
	}
	s.compare(t, r, kept)
}
