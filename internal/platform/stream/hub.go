package stream

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"github.com/larirun/lari/internal/platform/fault"
)

// Entry is one event of a log.
type Entry interface {
	Position() int64 // from 1, rising
	Final() bool     // the log ends here
}

// Key names a log.
type Key struct {
	Tenant uuid.UUID
	Log    uuid.UUID
}

// Read gives at most limit entries of a log after the position, in order.
type Read[E Entry] func(ctx context.Context, key Key, after int64, limit int) ([]E, error)

// Observer is told what the hub does, for metrics. Its methods are called often and must not block.
type Observer interface {
	Opened(key Key)
	Closed(key Key)
	Delivered(key Key, n int, fromLog bool)
}

// Hub lets many readers follow many logs. See the package's comment.
type Hub[E Entry] struct {
	read     Read[E]
	observer Observer
	log      *slog.Logger
	flights  singleflight.Group

	mu        sync.Mutex
	topics    map[Key]*topic[E]
	listening atomic.Bool
}

const (
	pageSize = 256 // entries of one read of the log
	tailSize = 256 // entries that a topic remembers

	recheckListening = 30 * time.Second // how often a silent log is looked at while notifications arrive
	recheckDeaf      = time.Second      // and while they do not

	publishWithin = 100 * time.Millisecond // how long a publication that is due is waited for
)

// NewHub makes a hub over a log.
func NewHub[E Entry](read Read[E], observer Observer, log *slog.Logger) *Hub[E] {
	return &Hub[E]{read: read, observer: observer, log: log, topics: make(map[Key]*topic[E])}
}

// Follow calls send with everything after the position, first what is in the log, then what comes,
// until the final entry has been sent (nil), ctx ends or send fails. A log that cannot be reached for
// a while makes a pause. send is called from one goroutine and may be as slow as it likes.
func (h *Hub[E]) Follow(ctx context.Context, key Key, after int64, send func([]E) error) error {
	sent := new(atomic.Int64)
	sent.Store(after)
	t := h.join(key, sent)
	defer h.leave(key, t, sent)
	h.observer.Opened(key)
	defer h.observer.Closed(key)
	look, seen := true, int64(0) // the topic may know nothing yet: look into the log first
	var fruitless int64          // a head that the log does not have: it was removed; do not spin on it
	for {
		batch, state := t.after(after)
		if state.doubt != seen {
			look, seen = true, state.doubt
		}
		fromLog := false
		if len(batch) == 0 && (look || state.head > max(after, fruitless)) {
			var err error
			if batch, err = h.readLog(ctx, key, t, after, state); err != nil {
				return err
			}
			look, fromLog = len(batch) == pageSize, true
			if len(batch) == 0 {
				fruitless = state.head
				sent.Store(max(after, fruitless)) // nothing is left to send
			}
		}
		if len(batch) == 0 {
			timer := time.NewTimer(h.patience(state))
			select {
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			case <-state.wake:
			case <-timer.C:
				look = true
				t.grown(state.due) // whoever was to publish it has been lost
			}
			timer.Stop()
			continue
		}
		if err := send(batch); err != nil {
			return err
		}
		h.observer.Delivered(key, len(batch), fromLog)
		last := batch[len(batch)-1]
		if last.Final() {
			return nil
		}
		after = last.Position()
		sent.Store(after)
	}
}

// Behind counts the readers who have not been sent everything that the hub has heard of, and how many
// entries that is in all of them together.
func (h *Hub[E]) Behind() (readers int, entries int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.topics {
		head := t.highest()
		for sent := range t.readers {
			if n := head - sent.Load(); n > 0 {
				readers++
				entries += n
			}
		}
	}
	return readers, entries
}

func (h *Hub[E]) patience(s state) time.Duration {
	if s.due > s.head {
		return publishWithin
	}
	if h.listening.Load() {
		return recheckListening
	}
	return recheckDeaf
}

// readLog reads a page of the log; readers that stand at the same position share one read. It goes on
// trying while the log cannot be reached.
//
// Only readers that know the same share: a read that began before the log was heard to grow may not see
// the growth, and whoever joined it then would take its empty answer for the truth.
func (h *Hub[E]) readLog(ctx context.Context, key Key, t *topic[E], after int64, known state) ([]E, error) {
	flightKey := fmt.Sprint(key.Tenant, key.Log, after, known.head, known.doubt)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		flight := h.flights.DoChan(flightKey, func() (any, error) {
			// The flight serves every reader that joined it: it does not end with the first one's context.
			shared, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer stop()
			return h.read(shared, key, after, pageSize)
		})
		var result singleflight.Result
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case result = <-flight:
		}
		if result.Err == nil {
			batch, _ := result.Val.([]E)
			t.add(batch)
			return batch, nil
		}
		if !fault.Is(result.Err, fault.Unavailable) {
			return nil, result.Err
		}
		h.log.WarnContext(ctx, "a log cannot be read, trying again", "log_id", key.Log, "pause", pause, "error", result.Err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Publish hands over entries that were just committed by this process, in order.
func (h *Hub[E]) Publish(key Key, entries []E) {
	if t := h.topic(key); t != nil {
		t.add(entries)
	}
}

// Grown says that the log has entries up to the position.
func (h *Hub[E]) Grown(key Key, head int64) {
	if t := h.topic(key); t != nil {
		t.grown(head)
	}
}

// Expect says that this process has committed entries up to the position and is about to publish them:
// readers wait for that a moment instead of reading the log.
func (h *Hub[E]) Expect(key Key, head int64) {
	if t := h.topic(key); t != nil {
		t.expect(head)
	}
}

// Connected says that notifications arrive from now on, and that some may have been lost before: every
// reader looks into its log.
func (h *Hub[E]) Connected() {
	h.listening.Store(true)
	h.doubtAll()
}

// Disconnected says that no notifications arrive: readers look into their logs now and then.
func (h *Hub[E]) Disconnected() {
	h.listening.Store(false)
	h.doubtAll()
}

func (h *Hub[E]) doubtAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.topics {
		t.distrust()
	}
}

func (h *Hub[E]) topic(key Key) *topic[E] {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.topics[key]
}

func (h *Hub[E]) join(key Key, reader *atomic.Int64) *topic[E] {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[key]
	if t == nil {
		t = &topic[E]{readers: map[*atomic.Int64]struct{}{}, wake: make(chan struct{})}
		h.topics[key] = t
	}
	t.readers[reader] = struct{}{}
	return t
}

func (h *Hub[E]) leave(key Key, t *topic[E], reader *atomic.Int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if delete(t.readers, reader); len(t.readers) == 0 {
		delete(h.topics, key)
	}
}
