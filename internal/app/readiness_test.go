package app

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// However many ask, a check runs once a second, and its answer is for all of them.
func TestSharedCheck_RunsOnceForAllWhoAsk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		failure := errors.New("away")
		var result error
		c := newSharedCheck(func(ctx context.Context) error {
			runs.Add(1)
			if _, limited := ctx.Deadline(); !limited {
				t.Error("a check has no limit")
			}
			time.Sleep(50 * time.Millisecond) // of the bubble's clock
			return result
		})
		ask := func(want error) {
			t.Helper()
			var all sync.WaitGroup
			first, leave := context.WithCancel(t.Context())
			all.Go(func() { _ = c.Check(first) })
			synctest.Wait()
			leave() // whoever leaves does not take the answer from the others
			for range 100 {
				all.Go(func() {
					if err := c.Check(t.Context()); !errors.Is(err, want) {
						t.Errorf("error %v, want %v", err, want)
					}
				})
			}
			all.Wait()
		}
		ask(nil)
		time.Sleep(readyMemory / 2)
		ask(nil)
		if n := runs.Load(); n != 1 {
			t.Errorf("it ran %d times", n)
		}
		result = failure
		time.Sleep(readyMemory)
		ask(failure)
		result = nil
		time.Sleep(unreadyMemory)
		ask(nil)
		if n := runs.Load(); n != 3 {
			t.Errorf("it ran %d times", n)
		}
	})
}
