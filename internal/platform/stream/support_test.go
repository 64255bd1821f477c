package stream_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/stream"
)

// entry is a position and whether the log ends there.
type entry struct {
	position int64
	final    bool
}

func (e entry) Position() int64 { return e.position }
func (e entry) Final() bool     { return e.final }

// journal is a log in memory with the promises of the real one: positions are given out under a lock that
// is held until the commit.
type journal struct {
	key   stream.Key
	reads atomic.Int64
	down  atomic.Bool   // reads find the log unavailable
	gate  chan struct{} // not nil: a read has looked and answers only now

	mu      sync.Mutex
	entries []entry
	head    int64
}

func newJournal() *journal { return &journal{key: stream.Key{Tenant: uuid.New(), Log: uuid.New()}} }

// append commits n entries.
func (j *journal) append(n int, final bool) []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	for range n {
		j.head++
		j.entries = append(j.entries, entry{position: j.head})
	}
	j.entries[len(j.entries)-1].final = final
	return slices.Clone(j.entries[len(j.entries)-n:])
}

// compact removes entries for which drop says so.
func (j *journal) compact(drop func(position int64) bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = slices.DeleteFunc(slices.Clone(j.entries), func(e entry) bool { return drop(e.position) })
}

// after gives the positions that follow.
func (j *journal) after(position int64) []int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	var positions []int64
	for _, e := range j.entries {
		if e.position > position {
			positions = append(positions, e.position)
		}
	}
	return positions
}

func (j *journal) read(ctx context.Context, key stream.Key, after int64, limit int) ([]entry, error) {
	j.reads.Add(1)
	if key != j.key {
		return nil, fmt.Errorf("the log %v was read", key)
	}
	if j.down.Load() {
		return nil, fault.New(fault.Unavailable, "The log cannot be reached.")
	}
	j.mu.Lock()
	i, _ := slices.BinarySearchFunc(j.entries, after+1, func(e entry, p int64) int { return int(e.position - p) })
	page := slices.Clone(j.entries[i:min(i+limit, len(j.entries))])
	j.mu.Unlock()
	if j.gate != nil {
		select {
		case <-j.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return page, nil
}

// tally counts what the hub tells its observer.
type tally struct {
	opened, closed           atomic.Int64
	delivered, deliveredLogs atomic.Int64
}

func (c *tally) Opened(stream.Key) { c.opened.Add(1) }
func (c *tally) Closed(stream.Key) { c.closed.Add(1) }
func (c *tally) Delivered(_ stream.Key, n int, fromLog bool) {
	c.delivered.Add(int64(n))
	if fromLog {
		c.deliveredLogs.Add(int64(n))
	}
}

func newHub(j *journal) (*stream.Hub[entry], *tally) {
	count := &tally{}
	return stream.NewHub(j.read, count, slog.New(slog.DiscardHandler)), count
}

// reader follows a journal and keeps what it was sent.
type reader struct {
	after int64
	pause func() // nil, or what it does with each batch

	mu   sync.Mutex
	seen []int64
	done chan struct{} // closed when Follow has returned
	err  error         // of Follow; read after done
}

// follow starts a reader.
func follow(ctx context.Context, h *stream.Hub[entry], j *journal, after int64, pause func()) *reader {
	r := &reader{after: after, pause: pause, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = h.Follow(ctx, j.key, after, r.send)
	}()
	return r
}

func (r *reader) send(batch []entry) error {
	if r.pause != nil {
		r.pause()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range batch {
		r.seen = append(r.seen, e.position)
	}
	return nil
}

func (r *reader) positions() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// wrong says how what was seen differs from the journal.
func (r *reader) wrong(j *journal) error {
	got, want := r.positions(), j.after(r.after)
	if slices.Equal(got, want) {
		return nil
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Errorf("a reader after %d saw %d where %d stands (%d of %d entries)", r.after, got[i], want[i], len(got), len(want))
		}
	}
	return fmt.Errorf("a reader after %d saw %d entries of %d", r.after, len(got), len(want))
}

// wantAll demands that the reader has seen all that the journal holds after its position.
func (r *reader) wantAll(t testing.TB, j *journal) {
	t.Helper()
	if err := r.wrong(j); err != nil {
		t.Error(err)
	}
}
