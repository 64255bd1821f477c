package stream_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/larirun/lari/internal/platform/stream"
)

// act is one thing that happens to a log and its readers.
type act struct {
	kind  string
	n     int
	pause time.Duration
}

var acts = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) act {
	return act{
		kind: rapid.SampledFrom([]string{
			"publish", "publish", "publish late", "grown", "grown late", "due", "due and lost", "both", "lost", "join", "join slow", "join lazy",
			"disconnect", "connect", "outage", "recovery", "rest",
		}).Draw(t, "kind"),
		n:     rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(1, 700)).Draw(t, "n"),
		pause: time.Duration(rapid.IntRange(0, 40).Draw(t, "pause")) * 100 * time.Millisecond,
	}
}), 1, 60)

// Whatever happens, in whatever order: each reader gets what the log holds after its position, once.
func TestEveryReaderGetsTheExactLog(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		// One plan for each of the goroutines that write and disturb side by side.
		plans := [][]act{acts.Draw(rt, "first"), acts.Draw(rt, "second"), acts.Draw(rt, "third")}
		var broken error
		synctest.Test(t, func(t *testing.T) { broken = play(t, plans) })
		if broken != nil {
			rt.Fatal(broken)
		}
	})
}

func play(t *testing.T, plans [][]act) error {
	j := newJournal()
	h, count := newHub(j)
	s := &stage{t: t, j: j}
	var running sync.WaitGroup
	for _, plan := range plans {
		running.Go(func() {
			for _, a := range plan {
				s.do(h, a)
			}
		})
	}
	running.Wait()
	s.late.Wait()
	j.down.Store(false)
	h.Publish(j.key, j.append(1, true))
	deadline := time.After(10 * time.Minute)
	for _, r := range s.readers {
		select {
		case <-r.done:
		case <-deadline:
			return fmt.Errorf("a reader after %d is stuck with %d entries", r.after, len(r.positions()))
		}
		if r.err != nil {
			return r.err
		}
		if err := r.wrong(j); err != nil {
			return err
		}
	}
	if n := h.Topics(); n != 0 || count.opened.Load() != count.closed.Load() {
		return fmt.Errorf("%d topics are left", n)
	}
	return nil
}

// stage is what the plans act upon.
type stage struct {
	t    *testing.T
	j    *journal
	late sync.WaitGroup // notifications that are under way

	mu      sync.Mutex
	readers []*reader
}

func (s *stage) do(h *stream.Hub[entry], a act) {
	j := s.j
	switch a.kind {
	case "publish":
		h.Publish(j.key, j.append(a.n, false))
	case "publish late": // another one may overtake it
		written := j.append(a.n, false)
		s.after(a.pause, func() { h.Publish(j.key, written) })
	case "grown":
		h.Grown(j.key, last(j.append(a.n, false)))
	case "grown late":
		head := last(j.append(a.n, false))
		s.after(a.pause, func() { h.Grown(j.key, head) })
	case "due":
		written := j.append(a.n, false)
		h.Expect(j.key, last(written))
		s.after(a.pause, func() { h.Publish(j.key, written) })
	case "due and lost":
		h.Expect(j.key, last(j.append(a.n, false)))
	case "both":
		written := j.append(a.n, false)
		h.Grown(j.key, last(written))
		h.Publish(j.key, written)
	case "lost":
		j.append(a.n, false)
	case "join":
		s.join(h, a.n, nil)
	case "join slow":
		s.join(h, a.n, func() { time.Sleep(a.pause) })
	case "join lazy": // sleeps once and is left far behind
		var once sync.Once
		s.join(h, a.n, func() { once.Do(func() { time.Sleep(20 * a.pause) }) })
	case "disconnect":
		h.Disconnected()
	case "connect":
		h.Connected()
	case "outage":
		j.down.Store(true)
	case "recovery":
		j.down.Store(false)
	case "rest":
		time.Sleep(a.pause)
	}
}

func (s *stage) after(d time.Duration, f func()) {
	s.late.Go(func() {
		time.Sleep(d)
		f()
	})
}

func (s *stage) join(h *stream.Hub[entry], n int, pause func()) {
	s.j.mu.Lock()
	after := s.j.head * int64(n%11) / 10 // from the beginning to the end
	s.j.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers = append(s.readers, follow(s.t.Context(), h, s.j, after, pause))
}

func last(entries []entry) int64 { return entries[len(entries)-1].position }
