package webhook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larirun/lari/connectors"
)

var errDown = errors.New("down")

func postponed(t *testing.T, err error) *connectors.Postponed {
	t.Helper()
	var p *connectors.Postponed
	if !errors.As(err, &p) {
		t.Fatalf("%v, want a postponement", err)
	}
	return p
}

// answer gives a send that takes so long and ends so.
func answer(after time.Duration, err error) func() (connectors.Report, error) {
	return func() (connectors.Report, error) {
		time.Sleep(after) // within a bubble of synctest
		return connectors.Report{}, err
	}
}

func TestACircuitOpensAndCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGates(Limits{TripAfter: 3, OpenFor: 30 * time.Second})
		through := func(err error) error {
			_, got := g.through(t.Context(), "a", true, answer(time.Millisecond, err))
			return got
		}
		for range 3 {
			if err := through(errDown); !errors.Is(err, errDown) {
				t.Fatal(err)
			}
		}
		for n := range 3 { // open: none is tried, each comes back later than the one before
			p := postponed(t, through(nil))
			if p.After < 30*time.Second || p.After > 30*time.Second+time.Duration(n+1)*time.Second {
				t.Errorf("postponed by %s", p.After)
			}
		}
		time.Sleep(31 * time.Second)
		if err := through(errDown); !errors.Is(err, errDown) { // half open: one is tried, and fails
			t.Errorf("the probe: %v", err)
		}
		_ = postponed(t, through(nil))
		time.Sleep(31 * time.Second)
		for range 5 {
			if err := through(nil); err != nil {
				t.Errorf("closed again: %v", err)
			}
		}
		// Another receiver never knew.
		if _, err := g.through(t.Context(), "b", true, answer(0, nil)); err != nil {
			t.Error(err)
		}
	})
}

func TestAReceiverHasItsShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGates(Limits{PerReceiver: 4})
		if _, err := g.through(t.Context(), "a", true, answer(0, nil)); err != nil { // it is well
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		now, most, sent, away := 0, 0, 0, 0
		for range 40 {
			all.Go(func() {
				_, err := g.through(t.Context(), "a", true, func() (connectors.Report, error) {
					mu.Lock()
					now, sent = now+1, sent+1
					most = max(most, now)
					mu.Unlock()
					time.Sleep(200 * time.Millisecond)
					mu.Lock()
					now--
					mu.Unlock()
					return connectors.Report{}, nil
				})
				if err != nil {
					mu.Lock()
					away++
					mu.Unlock()
					_ = postponed(t, err)
				}
			})
		}
		all.Wait()
		// Four at once; some of those that wait get their turn within half a second, the others come back.
		if most != 4 || sent < 8 || sent+away != 40 || away < 20 {
			t.Errorf("%d at a time, %d sent, %d sent away", most, sent, away)
		}
	})
}

func TestDoubtfulReceiversHaveAShareOfTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGates(Limits{Doubtful: 30, Failing: 20})
		if _, err := g.through(t.Context(), "well", true, answer(0, nil)); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		hang := func(key string, healthy bool) {
			for range 3 {
				all.Go(func() { _, _ = g.through(t.Context(), key, healthy, answer(10*time.Second, errDown)) })
			}
		}
		under := func() int { g.mu.Lock(); defer g.mu.Unlock(); return g.doubtful }
		for i := range 100 {
			hang(fmt.Sprint("failing ", i), false)
		}
		synctest.Wait()
		if n := under(); n != 20 {
			t.Errorf("%d requests to receivers that fail, want 20", n)
		}
		for i := range 100 {
			hang(fmt.Sprint("unknown ", i), true)
		}
		synctest.Wait()
		if n := under(); n != 30 {
			t.Errorf("%d requests to receivers in doubt, want 30", n)
		}
		// One that is well does not notice.
		began := time.Now()
		if _, err := g.through(t.Context(), "well", true, answer(time.Millisecond, nil)); err != nil || time.Since(began) > 2*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		all.Wait()
		if n := under(); n != 0 {
			t.Errorf("%d requests are still counted", n)
		}
	})
}

// A thousand deliveries to a receiver that hangs do not ask all the time: they come back at its pace.
func TestThoseThatWaitComeBackOneAfterTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGates(Limits{})
		var all sync.WaitGroup
		all.Go(func() { _, _ = g.through(t.Context(), "a", false, answer(10*time.Second, errDown)) })
		time.Sleep(5 * time.Second)
		var latest time.Duration
		far := 0
		for range 1000 {
			_, err := g.through(t.Context(), "a", false, answer(0, nil))
			p := postponed(t, err)
			latest = max(latest, p.After)
			if p.After > time.Minute {
				far++
			}
		}
		if latest > latestComeBack || far < 900 {
			t.Errorf("the last comes back after %s; %d of 1000 after more than a minute", latest, far)
		}
		all.Wait()
	})
}

func TestWhatThisProcessBreaksOffSaysNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGates(Limits{TripAfter: 2})
		for range 10 {
			ctx, stop := context.WithCancel(t.Context())
			_, _ = g.through(ctx, "a", true, func() (connectors.Report, error) {
				stop()
				return connectors.Report{}, ctx.Err()
			})
		}
		if _, err := g.through(t.Context(), "a", true, answer(0, nil)); err != nil {
			t.Errorf("the circuit opened: %v", err)
		}
	})
}

func TestAPanicGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	g := NewGates(Limits{})
	for range 3 {
		func() {
			defer func() { _ = recover() }()
			_, _ = g.through(t.Context(), "a", true, func() (connectors.Report, error) { panic("no") })
		}()
	}
	if _, err := g.through(t.Context(), "a", true, func() (connectors.Report, error) { return connectors.Report{}, nil }); err != nil {
		t.Error(err)
	}
	if g.doubtful != 0 {
		t.Errorf("%d requests are counted", g.doubtful)
	}
}
