package stream

import (
	"slices"
	"sync"
	"sync/atomic"
)

// topic is what the hub knows of one log that somebody follows.
type topic[E Entry] struct {
	readers map[*atomic.Int64]struct{} // what each of them has been sent, as a position; guarded by the hub

	mu    sync.Mutex
	tail  []E   // the newest entries, without a hole
	head  int64 // the highest position heard of; the tail may end before it
	due   int64 // the highest position that this process is about to publish
	doubt int64 // rises when notifications may have been lost
	wake  chan struct{}
}

// state is what a reader needs beside entries. wake is closed by whatever happens after it was read.
type state struct {
	head  int64
	due   int64
	doubt int64
	wake  <-chan struct{}
}

// after gives the entries that follow the position, if the tail reaches back to it.
func (t *topic[E]) after(position int64) ([]E, state) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := state{head: t.head, due: t.due, doubt: t.doubt, wake: t.wake}
	if len(t.tail) == 0 || t.tail[0].Position() > position+1 {
		return nil, s
	}
	skip := int(position - t.tail[0].Position() + 1)
	if skip >= len(t.tail) {
		return nil, s
	}
	return slices.Clone(t.tail[skip:]), s
}

// add puts consecutive entries at the end of the tail. Entries that leave a hole begin a new tail:
// readers that stand before the hole read the log.
func (t *topic[E]) add(entries []E) {
	if len(entries) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.last()
	for i, e := range entries {
		switch last := t.last(); {
		case last != 0 && e.Position() <= last:
			continue
		case last != 0 && e.Position() == last+1:
			t.tail = append(t.tail, e)
		default:
			t.tail = append(t.tail[:0:0], entries[i])
		}
	}
	if n := len(t.tail); n > 2*tailSize {
		t.tail = slices.Clone(t.tail[n-tailSize:])
	}
	if t.last() == before {
		return // every reader of a shared read hands it over; one of them has news
	}
	t.head = max(t.head, t.last())
	t.signal()
}

func (t *topic[E]) last() int64 {
	if len(t.tail) == 0 {
		return 0
	}
	return t.tail[len(t.tail)-1].Position()
}

func (t *topic[E]) highest() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.head
}

func (t *topic[E]) grown(head int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if head > t.head {
		t.head = head
		t.signal()
	}
}

func (t *topic[E]) expect(head int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if head > max(t.head, t.due) {
		t.due = head
		t.signal()
	}
}

func (t *topic[E]) distrust() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.doubt++
	t.signal()
}

func (t *topic[E]) signal() {
	close(t.wake)
	t.wake = make(chan struct{})
}
