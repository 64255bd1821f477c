package connectors_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
)

// world is a registry with what it meets: it keeps who was told, what was handed over and what was
// observed, each in its order.
type world struct {
	registry *connectors.Registry
	refuse   func(connectors.Delivery) error // the deliverer's answer; nil: it takes everything

	mu       sync.Mutex
	seq      int64
	calls    []string
	taken    []connectors.Delivery
	observed []attempt
}

type attempt struct {
	connector string
	took      time.Duration
	err       error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.registry = connectors.NewRegistry(w, w, slog.New(slog.DiscardHandler))
	return w
}

func (w *world) register(t *testing.T, c connectors.RuntimeConnector) {
	t.Helper()
	if err := w.registry.RegisterConnector(c); err != nil {
		t.Fatal(err)
	}
}

// event gives a new event, the next of its world.
func (w *world) event(typ event.Type) connectors.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	return connectors.Event{
		TenantID: uuid.New(), AgentID: uuid.New(), RunID: uuid.New(), Seq: w.seq, Type: typ, At: clock.Now(), Data: json.RawMessage(`{}`),
	}
}

func (w *world) announce(t *testing.T, types ...event.Type) []connectors.Event {
	t.Helper()
	var all []connectors.Event
	for _, typ := range types {
		e := w.event(typ)
		if err := w.registry.Announce(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// Deliver makes the world a Deliverer.
func (w *world) Deliver(_ context.Context, d connectors.Delivery) error {
	if w.refuse != nil {
		if err := w.refuse(d); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken = append(w.taken, d)
	return nil
}

// Attempted makes the world an Observer.
func (w *world) Attempted(connector string, _ connectors.Event, took time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.observed = append(w.observed, attempt{connector, took, err})
}

func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

func (w *world) deliveries() []connectors.Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.taken)
}

func (w *world) attempts() []attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.observed)
}

// inline gives an inline connector that wants everything and does what it is given to do.
func (w *world) inline(name string, do func(context.Context) error) *recorder {
	return &recorder{world: w, name: name, mode: connectors.Inline, do: do}
}

func (w *world) remote(name string, mode connectors.Mode) *recorder {
	return &recorder{world: w, name: name, mode: mode}
}

// recorder is a connector that notes how it was called.
type recorder struct {
	world *world
	name  string
	mode  connectors.Mode
	wants func(connectors.Event) bool
	do    func(context.Context) error
}

func (r *recorder) Name() string          { return r.name }
func (r *recorder) Mode() connectors.Mode { return r.mode }

func (r *recorder) Wants(e connectors.Event) bool { return r.wants == nil || r.wants(e) }

func (r *recorder) OnStart(ctx context.Context, _ connectors.Event) error {
	return r.call(ctx, "OnStart")
}

func (r *recorder) OnProgress(ctx context.Context, _ connectors.Event) error {
	return r.call(ctx, "OnProgress")
}

func (r *recorder) OnComplete(ctx context.Context, _ connectors.Event) error {
	return r.call(ctx, "OnComplete")
}

func (r *recorder) OnError(ctx context.Context, _ connectors.Event) error {
	return r.call(ctx, "OnError")
}

func (r *recorder) OnCancel(ctx context.Context, _ connectors.Event) error {
	return r.call(ctx, "OnCancel")
}

func (r *recorder) call(ctx context.Context, method string) error {
	r.world.mu.Lock()
	r.world.calls = append(r.world.calls, r.name+" "+method)
	r.world.mu.Unlock()
	if r.do == nil {
		return nil
	}
	return r.do(ctx)
}

// undeclared hides what a connector declares.
type undeclared struct{ connectors.RuntimeConnector }
