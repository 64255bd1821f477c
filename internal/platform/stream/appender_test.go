package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/stream"
)

// item is the n-th thing that a writer adds.
type item struct{ writer, n int }

// sink keeps what is flushed. refuse and down decide about a batch before it is kept; took is how long
// a flush takes.
type sink struct {
	took   time.Duration
	refuse func(batch []item) error
	down   func() bool

	mu      sync.Mutex
	kept    []item
	batches []int
	tries   int
}

var errRefused = errors.New("refused")

func (s *sink) flush(ctx context.Context, batch []item) error {
	s.mu.Lock()
	s.tries++
	s.mu.Unlock()
	if s.took > 0 {
		select {
		case <-time.After(s.took):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.down != nil && s.down() {
		return fault.New(fault.Unavailable, "The log cannot be reached.")
	}
	if s.refuse != nil {
		if err := s.refuse(batch); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, batch...)
	s.batches = append(s.batches, len(batch))
	return nil
}

// start runs an appender over the sink; the returned function stops it and waits for its end.
func start(ctx context.Context, s *sink) (a *stream.Appender[item], stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	a = stream.NewAppender(s.flush)
	var running sync.WaitGroup
	running.Go(func() { a.Run(ctx) })
	return a, func() {
		cancel()
		running.Wait()
	}
}

func add(t testing.TB, a *stream.Appender[item], i item) *stream.Ticket {
	t.Helper()
	ticket, err := a.Add(t.Context(), i)
	if err != nil {
		t.Fatalf("add %v: %v", i, err)
	}
	return ticket
}

func TestEveryWritersOrderIsKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		writers := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 3), 1, 80), 1, 6).Draw(rt, "pauses of each writer")
		outages := rapid.SliceOfN(rapid.Bool(), 0, 20).Draw(rt, "outages")
		took := time.Duration(rapid.IntRange(0, 5).Draw(rt, "flush")) * time.Millisecond
		var broken error
		synctest.Test(t, func(t *testing.T) { broken = write(t, writers, outages, took) })
		if broken != nil {
			rt.Fatal(broken)
		}
	})
}

// write lets writers add side by side while the log is away now and then.
func write(t *testing.T, writers [][]int, outages []bool, took time.Duration) error {
	s := &sink{took: took}
	s.down = func() bool {
		if len(outages) == 0 {
			return false
		}
		down := outages[0]
		outages = outages[1:]
		return down
	}
	a, stop := start(t.Context(), s)
	var writing sync.WaitGroup
	var mu sync.Mutex
	var failed error
	total := 0
	for w, pauses := range writers {
		total += len(pauses)
		writing.Go(func() {
			var ticket *stream.Ticket
			for n, pause := range pauses {
				ticket = add(t, a, item{w, n})
				time.Sleep(time.Duration(pause) * time.Millisecond)
			}
			if err := ticket.Wait(t.Context()); err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		})
	}
	writing.Wait()
	stop()
	if failed != nil {
		return failed
	}
	next := make([]int, len(writers))
	for _, i := range s.kept {
		if i.n != next[i.writer] {
			return fmt.Errorf("writer %d: item %d where %d was due", i.writer, i.n, next[i.writer])
		}
		next[i.writer]++
	}
	if len(s.kept) != total {
		return fmt.Errorf("%d items of %d", len(s.kept), total)
	}
	return nil
}

// What a writer withdraws is what no flush has begun with: the end of what it added, and nothing of others'.
func TestWithdrawnItemsAreTheWriters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		pauses := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 80).Draw(rt, "pauses")
		took := time.Duration(rapid.IntRange(0, 5).Draw(rt, "flush")) * time.Millisecond
		synctest.Test(t, func(t *testing.T) {
			s := &sink{took: took}
			a, stop := start(t.Context(), s)
			for n, pause := range pauses {
				add(t, a, item{0, n})
				add(t, a, item{1, n})
				time.Sleep(time.Duration(pause) * time.Millisecond)
			}
			back, err := a.Withdraw(t.Context(), func(i item) bool { return i.writer == 0 })
			if err != nil {
				rt.Errorf("withdraw: %v", err)
			}
			s.mu.Lock()
			all := slices.DeleteFunc(slices.Clone(s.kept), func(i item) bool { return i.writer != 0 })
			s.mu.Unlock()
			stop()
			all = append(all, back...)
			for n, i := range all {
				if i.n != n {
					rt.Errorf("item %d where %d was due", i.n, n)
				}
			}
			others := slices.DeleteFunc(s.kept, func(i item) bool { return i.writer == 0 })
			if len(all) != len(pauses) || len(others) != len(pauses) {
				rt.Errorf("%d and %d items of %d", len(all), len(others), len(pauses))
			}
		})
	})
}

func TestWhatGathersDuringAFlushIsTheNextBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{took: time.Second}
		a, stop := start(t.Context(), s)
		first := add(t, a, item{n: 0})
		synctest.Wait() // its flush is under way
		for n := range 100 {
			add(t, a, item{n: n + 1})
		}
		if err := first.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for n := range stream.MaxBatch + 50 {
			add(t, a, item{n: 101 + n})
		}
		if err := add(t, a, item{n: 101 + stream.MaxBatch + 50}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := []int{1, 100, stream.MaxBatch, 51}; !slices.Equal(s.batches, want) {
			t.Errorf("batches %v, want %v", s.batches, want)
		}
		began := time.Now()
		if err := add(t, a, item{}).Wait(t.Context()); err != nil || time.Since(began) != time.Second {
			t.Errorf("an idle log was written after %s, error %v", time.Since(began), err)
		}
		stop()
	})
}

func TestABadItemGoesAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{took: time.Millisecond, refuse: func(batch []item) error {
			if slices.ContainsFunc(batch, func(i item) bool { return i.n == 7 }) {
				return errRefused
			}
			return nil
		}}
		a, stop := start(t.Context(), s)
		var tickets []*stream.Ticket
		for n := range 20 {
			tickets = append(tickets, add(t, a, item{n: n}))
		}
		for n, ticket := range tickets {
			err := ticket.Wait(t.Context())
			if bad := n == 7; bad != errors.Is(err, errRefused) || !bad && err != nil {
				t.Errorf("item %d: %v", n, err)
			}
		}
		stop()
		if len(s.kept) != 19 || !slices.IsSortedFunc(s.kept, func(a, b item) int { return a.n - b.n }) {
			t.Errorf("kept %v", s.kept)
		}
	})
}

func TestAnUnavailableLogLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := &sink{down: func() bool { return time.Since(began) < time.Minute }}
		a, stop := start(t.Context(), s)
		var last *stream.Ticket
		for n := range 1000 {
			last = add(t, a, item{n: n})
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := last.Wait(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a wait for a log that is away ended with %v", err)
		}
		if err := last.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if over := time.Since(began) - time.Minute; over > time.Second || len(s.kept) != 1000 || s.tries > 80 {
			t.Errorf("%d items after %d tries, %s after the log was back", len(s.kept), s.tries, over)
		}
		stop()
	})
}

func TestAFullQueueHoldsWritersBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{took: time.Second}
		a, stop := start(t.Context(), s)
		add(t, a, item{n: 0})
		synctest.Wait() // under way: out of the queue
		for n := range stream.MaxQueue {
			add(t, a, item{n: n + 1})
		}
		leaving, leave := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, err := a.Add(leaving, item{writer: 1}); !errors.Is(err, context.Canceled) {
				t.Errorf("a writer that left a full queue got %v", err)
			}
		})
		synctest.Wait()
		leave()
		waiting.Wait()
		began := time.Now()
		ticket := add(t, a, item{n: stream.MaxQueue + 1}) // waits until the flush under way has ended
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("a full queue held the writer for %s", waited)
		}
		if err := ticket.Wait(t.Context()); err != nil || len(s.kept) != stream.MaxQueue+2 {
			t.Errorf("%d items, error %v", len(s.kept), err)
		}
		stop()
	})
}

func TestStoppingFlushesTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{took: time.Second}
		a, stop := start(t.Context(), s)
		var tickets []*stream.Ticket
		for n := range 10 {
			tickets = append(tickets, add(t, a, item{n: n}))
			synctest.Wait() // the first is under way when the stop comes, the others wait
		}
		stop()
		for n, ticket := range tickets {
			if err := ticket.Wait(t.Context()); err != nil {
				t.Errorf("item %d: %v", n, err)
			}
		}
		if len(s.kept) != 10 || len(s.batches) != 2 {
			t.Errorf("%d items in batches %v", len(s.kept), s.batches)
		}
		if _, err := a.Add(t.Context(), item{}); !errors.Is(err, stream.ErrClosed) {
			t.Errorf("an add after the end: %v", err)
		}
	})
}

func TestWhatWasAddedJustBeforeTheStopIsFlushed(t *testing.T) {
	t.Parallel()
	s := &sink{}
	a := stream.NewAppender(s.flush)
	ticket := add(t, a, item{n: 1})
	stopped, stop := context.WithCancel(t.Context())
	stop()
	a.Run(stopped)
	if err := ticket.Wait(t.Context()); err != nil || len(s.kept) != 1 {
		t.Errorf("%d items, error %v", len(s.kept), err)
	}
}

func TestStoppingDoesNotWaitForALogThatStaysAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{down: func() bool { return true }}
		a, stop := start(t.Context(), s)
		var tickets []*stream.Ticket
		for n := range 2 * stream.MaxBatch {
			tickets = append(tickets, add(t, a, item{n: n}))
		}
		synctest.Wait()
		began := time.Now()
		stop()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the stop took %s", took)
		}
		for _, ticket := range tickets {
			if err := ticket.Wait(t.Context()); err == nil {
				t.Fatal("an item that was never committed has no error")
			}
		}
	})
}

// Writers that go on while the appender stops are refused: they do not keep it alive.
func TestWritersDoNotHoldUpTheStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{took: 10 * time.Millisecond}
		a, stop := start(t.Context(), s)
		var writing sync.WaitGroup
		for w := range 4 {
			writing.Go(func() {
				for n := 0; ; n++ {
					if _, err := a.Add(t.Context(), item{w, n}); err != nil {
						if !errors.Is(err, stream.ErrClosed) {
							t.Errorf("writer %d: %v", w, err)
						}
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		time.Sleep(time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("the stop took %s", took)
		}
		writing.Wait()
	})
}
