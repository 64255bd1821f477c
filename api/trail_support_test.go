package api

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/stream"
)

// taken is a call with the tenant in whose trail it stands.
type taken struct {
	tenant uuid.UUID
	audit.Call
}

// trail is a group commit into memory: what the adapter does, without the database's part.
type trail struct {
	appender *stream.Appender[taken]
	mu       sync.Mutex
	calls    []taken
}

func newTrail(t testing.TB) *trail {
	t.Helper()
	tr := &trail{}
	tr.appender = appending(t, func(_ context.Context, batch []taken) error {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.calls = append(tr.calls[:min(len(tr.calls), 1<<12)], batch...) // a benchmark must not keep them all
		return nil
	})
	return tr
}

// appending runs a group commit until the test ends.
func appending(t testing.TB, flush func(context.Context, []taken) error) *stream.Appender[taken] {
	t.Helper()
	appender := stream.NewAppender(flush)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { appender.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return appender
}

func (tr *trail) AddCall(ctx context.Context, c audit.Call, _ bool) (*stream.Ticket, error) {
	return tr.appender.Add(ctx, taken{scope.Tenant(ctx), c})
}

// all gives what was taken down so far and forgets it.
func (tr *trail) all(t *testing.T) []taken {
	t.Helper()
	last, err := tr.appender.Add(t.Context(), taken{})
	if err != nil {
		t.Fatal(err)
	}
	if err := last.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	calls := tr.calls[:len(tr.calls)-1]
	tr.calls = nil
	return calls
}

// heldTrail keeps nothing until it is released.
type heldTrail struct {
	appender *stream.Appender[taken]
	added    chan struct{}
	release  chan struct{}
}

func newHeldTrail(t *testing.T) *heldTrail {
	t.Helper()
	h := &heldTrail{added: make(chan struct{}, 8), release: make(chan struct{})}
	h.appender = appending(t, func(context.Context, []taken) error {
		<-h.release
		return nil
	})
	return h
}

func (h *heldTrail) AddCall(ctx context.Context, c audit.Call, _ bool) (*stream.Ticket, error) {
	defer func() { h.added <- struct{}{} }()
	return h.appender.Add(ctx, taken{scope.Tenant(ctx), c})
}
