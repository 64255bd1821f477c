package connectortest

import (
	"context"
	"testing"
	"time"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/scope"
)

const (
	// patience is how long a healthy call may take, whatever the machine.
	patience = 20 * time.Second
	// deadline is what the suite gives a call that cannot succeed.
	deadline = 200 * time.Millisecond
	// grace is how long a call may take to end after its context has: "soon", on a busy machine.
	grace = 2 * time.Second
)

// outcome of one call.
type outcome struct {
	err      error
	took     time.Duration
	hung     bool // it had not ended when the suite lost patience; it is left behind
	panicked any
}

// tell calls the connector's method for the event as the program does: within the event's tenant. It
// waits for the call for at most limit.
func (r Rig) tell(ctx context.Context, e connectors.Event, limit time.Duration) outcome {
	ctx = scope.With(ctx, scope.Scope{Tenant: e.TenantID, Actor: "system", RequestID: e.RequestID})
	done := make(chan outcome, 1)
	began := time.Now()
	go func() {
		var o outcome
		defer func() {
			o.took, o.panicked = time.Since(began), recover()
			done <- o
		}()
		o.err = method(r.Connector, e.Type)(ctx, e)
	}()
	enough := time.NewTimer(limit)
	defer enough.Stop()
	select {
	case o := <-done:
		return o
	case <-enough.C:
		return outcome{hung: true, took: limit}
	}
}

// method is connectors.Call without its containment: a panic is to be seen.
func method(c connectors.RuntimeConnector, typ event.Type) func(context.Context, connectors.Event) error {
	return map[event.Type]func(context.Context, connectors.Event) error{
		event.RunStarted: c.OnStart, event.RunProgress: c.OnProgress, event.RunCompleted: c.OnComplete, event.RunError: c.OnError, event.RunCancelled: c.OnCancel,
	}[typ]
}

// well tells a good event in a world that works; the event must be taken.
func (r Rig) well(t testing.TB, e connectors.Event) bool {
	t.Helper()
	o := r.tell(t.Context(), e, patience)
	switch {
	case o.hung:
		t.Errorf("%s had not ended after %s", e.Type, patience)
	case o.panicked != nil:
		t.Errorf("%s panicked: %v", e.Type, o.panicked)
	case o.err != nil:
		t.Errorf("%s was refused: %v", e.Type, o.err)
	default:
		return true
	}
	return false
}
