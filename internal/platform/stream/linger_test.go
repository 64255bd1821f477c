package stream_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larirun/lari/internal/platform/stream"
)

// What is in no hurry rides with what is, in order, and waits a tenth of a second for it.
func TestAnItemMayWaitForCompany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		a, stop := start(t.Context(), s)
		later := func(n int) *stream.Ticket {
			t.Helper()
			ticket, err := a.AddLater(t.Context(), item{n: n})
			if err != nil {
				t.Fatal(err)
			}
			return ticket
		}
		began := time.Now()
		later(0)
		time.Sleep(50 * time.Millisecond)
		alone := later(1)
		if err := alone.Wait(t.Context()); err != nil || time.Since(began) != 100*time.Millisecond {
			t.Errorf("written after %s, error %v", time.Since(began), err)
		}
		later(2)
		time.Sleep(10 * time.Millisecond)
		began = time.Now()
		if err := add(t, a, item{n: 3}).Wait(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("company took %s, error %v", time.Since(began), err)
		}
		last := later(4)
		stop()
		if err := last.Wait(t.Context()); err != nil || !slices.Equal(s.batches, []int{2, 2, 1}) ||
			!slices.IsSortedFunc(s.kept, func(a, b item) int { return a.n - b.n }) {
			t.Errorf("batches %v of %v, error %v", s.batches, s.kept, err)
		}
		time.Sleep(time.Second) // a wake that comes after the end finds nobody
	})
}
