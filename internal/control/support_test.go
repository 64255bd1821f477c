package control_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/control"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// world is the service on a database of its own. The engine beside it answers as the test says.
type world struct {
	*control.Service
	database *pgtest.Database

	counts  control.Counts
	queues  map[string]control.Queue
	away    atomic.Bool   // the engine does not answer: its calls last until their time is over
	calls   atomic.Int64  // of the engine
	entered chan struct{} // a call has begun, while gate is set
	gate    chan struct{} // nil: open

	mu       sync.Mutex
	released []control.Scope
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{database: pgtest.New(t), queues: map[string]control.Queue{}}
	var err error
	w.Service, err = control.NewService(control.Deps{
		DB: w.database.DB, Runs: w, Engine: w, Queues: []string{"runs", "connectors"}, Logger: slog.New(slog.DiscardHandler),
		Released: func(_ context.Context, of control.Scope) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.released = append(w.released, of)
		},
	})
	must(t, err)
	return w
}

func (w *world) CountRuns(context.Context) (control.Counts, error) { return w.counts, nil }

func (w *world) CountAllRuns(context.Context) (control.Counts, error) { return w.counts, nil }

func (w *world) call(ctx context.Context) error {
	w.calls.Add(1)
	if w.gate != nil {
		w.entered <- struct{}{}
		<-w.gate
	}
	if !w.away.Load() {
		return nil
	}
	<-ctx.Done()
	return fault.Wrap(ctx.Err(), fault.Unavailable, "Temporal cannot be reached.")
}

func (w *world) FindServer(ctx context.Context) (string, error) { return "1.2.3", w.call(ctx) }

func (w *world) FindQueue(_ context.Context, name string) (control.Queue, error) {
	if w.away.Load() {
		return control.Queue{}, fault.New(fault.Unavailable, "Temporal cannot be reached.")
	}
	return w.queues[name], nil
}

func (w *world) FindPasses(context.Context) (control.Passes, error) {
	return control.Passes{}, fault.New(fault.NotFound, "No passes are scheduled.")
}

func (w *world) CountPausedSchedules(_ context.Context, tenant uuid.UUID) (int, error) {
	return int(tenant[15] % 4), nil
}

func poller(identity, build string, ago time.Duration) control.Poller {
	return control.Poller{Identity: identity, BuildID: build, LastSeen: clock.At(time.Now().Add(-ago))}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) daemon(ctx context.Context, t *testing.T) control.Daemon {
	t.Helper()
	d, err := w.Daemon(ctx, false)
	must(t, err)
	return d
}
