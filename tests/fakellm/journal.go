package fakellm

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Record is what happened to one request.
type Record struct {
	Protocol     string // "openai" or "anthropic"
	Model        string
	LastUser     string // text of the last user message
	AfterTools   bool
	Header       http.Header // only with Options.KeepBodies
	Body         []byte      // only with Options.KeepBodies
	Started      time.Time
	Chunks       int       // chunks of text or tool calls written
	LastByte     time.Time // of the last chunk written; zero: none
	Ended        time.Time // when the answer ended, however it did; zero: still open
	Disconnected time.Time // when the client was seen to have left early; zero: it did not
}

// Stats counts over all requests.
type Stats struct {
	Requests    int
	Chunks      int
	Disconnects int // clients that left before the answer ended
	Open        int // answers now running
}

// journal keeps the records and wakes those who wait for a change.
type journal struct {
	mu      sync.Mutex
	records []*Record
	stats   Stats
	waiting []waiter
}

type waiter struct {
	reached func(Stats) bool
	done    chan struct{}
}

func (j *journal) open(r Record) (*Record, int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Started = time.Now()
	record := &r
	j.records = append(j.records, record)
	j.stats.Requests++
	j.stats.Open++
	j.wake()
	return record, j.stats.Requests
}

func (j *journal) chunk(r *Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Chunks++
	r.LastByte = time.Now()
	j.stats.Chunks++
	j.wake()
}

func (j *journal) end(r *Record, left bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Ended = time.Now()
	j.stats.Open--
	if left {
		r.Disconnected = r.Ended
		j.stats.Disconnects++
	}
	j.wake()
}

// wake tells the waiters whose condition now holds; the caller holds the lock.
func (j *journal) wake() {
	if len(j.waiting) == 0 {
		return
	}
	j.waiting = slices.DeleteFunc(j.waiting, func(w waiter) bool {
		if w.reached(j.stats) {
			close(w.done)
			return true
		}
		return false
	})
}

func (j *journal) wait(ctx context.Context, what string, reached func(Stats) bool) error {
	j.mu.Lock()
	if reached(j.stats) {
		j.mu.Unlock()
		return nil
	}
	w := waiter{reached: reached, done: make(chan struct{})}
	j.waiting = append(j.waiting, w)
	j.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waiting = slices.DeleteFunc(j.waiting, func(o waiter) bool { return o.done == w.done })
	return fmt.Errorf("fake model server: waiting for %s, having %+v: %w", what, j.stats, ctx.Err())
}

// Stats gives the counters as they are now.
func (s *Server) Stats() Stats {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.stats
}

// Records gives a copy of what happened to each request, in the order of arrival.
func (s *Server) Records() []Record {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	out := make([]Record, len(s.journal.records))
	for i, r := range s.journal.records {
		out[i] = *r
	}
	return out
}

// WaitRequests waits until at least n requests have come, or fails with the context's error.
func (s *Server) WaitRequests(ctx context.Context, n int) error {
	return s.journal.wait(ctx, fmt.Sprintf("%d requests", n), func(st Stats) bool { return st.Requests >= n })
}

// WaitChunks waits until at least n chunks have been written, over all requests.
func (s *Server) WaitChunks(ctx context.Context, n int) error {
	return s.journal.wait(ctx, fmt.Sprintf("%d chunks", n), func(st Stats) bool { return st.Chunks >= n })
}

// WaitDisconnects waits until at least n clients have left before their answer ended.
func (s *Server) WaitDisconnects(ctx context.Context, n int) error {
	return s.journal.wait(ctx, fmt.Sprintf("%d disconnects", n), func(st Stats) bool { return st.Disconnects >= n })
}

// WaitIdle waits until no answer is running.
func (s *Server) WaitIdle(ctx context.Context) error {
	return s.journal.wait(ctx, "no open answer", func(st Stats) bool { return st.Open == 0 })
}
