package stream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
)

// Appender commits what many writers add in few transactions. While one flush is under way the next
// batch gathers: an idle log is written at once, a busy one in large batches, and no timer is needed.
// Items are flushed in the order in which they were added.
type Appender[T any] struct {
	flush func(ctx context.Context, batch []T) error

	mu       sync.Mutex
	queue    []item[T]
	flushing []item[T] // the batch under way
	closed   bool
	waking   bool // a wake is due at the end of a linger
	wake     chan struct{}
	space    chan struct{} // closed and replaced whenever the queue has been taken
}

type item[T any] struct {
	value  T
	ticket *Ticket
}

// Ticket stands for an item that was added.
type Ticket struct {
	done chan struct{}
	err  error
}

// Wait returns when the item is committed, or with the reason why it is not. The nil ticket stands for
// nothing and is not waited for.
func (t *Ticket) Wait(ctx context.Context) error {
	if t == nil {
		return nil
	}
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	maxBatch = 512
	maxQueue = 16 * maxBatch

	// linger is how long an item that is in no hurry waits for company.
	linger = 100 * time.Millisecond
)

// ErrClosed is what Add answers after the appender has been stopped.
var ErrClosed = errors.New("the appender is closed")

// NewAppender makes an appender; Run must be called once for it to work. flush commits a batch whole
// or not at all.
func NewAppender[T any](flush func(ctx context.Context, batch []T) error) *Appender[T] {
	return &Appender[T]{
		flush: flush, wake: make(chan struct{}, 1), space: make(chan struct{}),
	}
}

// Add puts an item in the queue and returns at once; it waits only while the queue is full.
func (a *Appender[T]) Add(ctx context.Context, value T) (*Ticket, error) {
	return a.add(ctx, value, a.signal)
}

// AddLater is Add for an item that nobody waits for: it is flushed together with the next one that is in
// a hurry, or after a tenth of a second, so that it costs nobody a transaction.
func (a *Appender[T]) AddLater(ctx context.Context, value T) (*Ticket, error) {
	return a.add(ctx, value, a.signalLater)
}

func (a *Appender[T]) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *Appender[T]) signalLater() {
	a.mu.Lock()
	due := a.waking
	a.waking = true
	a.mu.Unlock()
	if due {
		return
	}
	time.AfterFunc(linger, func() {
		a.mu.Lock()
		a.waking = false
		a.mu.Unlock()
		a.signal()
	})
}

func (a *Appender[T]) add(ctx context.Context, value T, signal func()) (*Ticket, error) {
	ticket := &Ticket{done: make(chan struct{})}
	for {
		a.mu.Lock()
		switch {
		case a.closed:
			a.mu.Unlock()
			return nil, ErrClosed
		case len(a.queue) < maxQueue:
			a.queue = append(a.queue, item[T]{value, ticket})
			a.mu.Unlock()
			signal()
			return ticket, nil
		}
		space := a.space
		a.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Withdraw takes back the items that no flush has begun with and that mine selects, in order: they are now
// the caller's. Those that a flush under way holds are waited for, so that what the caller writes next
// stands behind them; the error is theirs, or the context's.
func (a *Appender[T]) Withdraw(ctx context.Context, mine func(T) bool) (values []T, err error) {
	a.mu.Lock()
	kept := make([]item[T], 0, len(a.queue))
	for _, it := range a.queue {
		if !mine(it.value) {
			kept = append(kept, it)
			continue
		}
		values = append(values, it.value)
		close(it.ticket.done)
	}
	a.queue = kept
	var last *Ticket
	for _, it := range a.flushing {
		if mine(it.value) {
			last = it.ticket
		}
	}
	a.mu.Unlock()
	if last != nil {
		err = last.Wait(ctx)
	}
	return values, err
}

// lastFlush is how long an appender that was stopped goes on trying to commit what it holds.
const lastFlush = 5 * time.Second

// Run flushes until ctx ends. Then it refuses more at once and flushes what is left, for at most five
// seconds; a flush that is under way has these seconds, too.
func (a *Appender[T]) Run(ctx context.Context) {
	flushing, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	context.AfterFunc(ctx, func() {
		a.close()
		timer := time.NewTimer(lastFlush)
		defer timer.Stop()
		select {
		case <-timer.C:
			giveUp()
		case <-flushing.Done():
		}
	})
	for ctx.Err() == nil {
		select {
		case <-a.wake:
			a.drain(flushing)
		case <-ctx.Done():
		}
	}
	a.close()
	a.drain(flushing)
}

func (a *Appender[T]) drain(ctx context.Context) {
	for batch := a.take(); len(batch) > 0; batch = a.take() {
		a.commit(ctx, batch)
	}
}

func (a *Appender[T]) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
}

func (a *Appender[T]) take() []item[T] {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := min(len(a.queue), maxBatch)
	batch := a.queue[:n:n]
	a.queue, a.flushing = a.queue[n:], batch
	if n > 0 {
		close(a.space)
		a.space = make(chan struct{})
	}
	return batch
}

// commit flushes a batch. While the log cannot be reached it waits and tries again: writers pause and
// nothing is lost. When the batch is refused, its items are tried one by one, so that one bad item
// does not take the others with it.
func (a *Appender[T]) commit(ctx context.Context, batch []item[T]) {
	values := make([]T, len(batch))
	for i, it := range batch {
		values[i] = it.value
	}
	err := a.persist(ctx, values)
	if err != nil && len(batch) > 1 && ctx.Err() == nil {
		for i := range batch {
			a.commit(ctx, batch[i:i+1])
		}
		return
	}
	for _, it := range batch {
		it.ticket.err = err
		close(it.ticket.done)
	}
}

func (a *Appender[T]) persist(ctx context.Context, values []T) error {
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := a.flush(ctx, values)
		if !fault.Is(err, fault.Unavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}
