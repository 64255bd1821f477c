// Package connectors is the door to the outside world: whatever wants to hear of runs is a
// RuntimeConnector in the Registry. The lifecycle interceptor raises the events; nothing else does.
package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
)

// RuntimeConnector receives the lifecycle of every run, in order, at least once. An error means "again,
// later"; it never fails, delays or reorders the run. Methods are called by many goroutines at once and
// must stop when ctx ends. Errors must not hold secrets: they are logged and shown to operators.
type RuntimeConnector interface {
	// Name identifies the connector for good: it is part of idempotency keys and workflow ids. It
	// matches [a-z][a-z0-9_-]{0,31}.
	Name() string
	OnStart(ctx context.Context, e Event) error
	OnProgress(ctx context.Context, e Event) error
	OnComplete(ctx context.Context, e Event) error
	OnError(ctx context.Context, e Event) error
	OnCancel(ctx context.Context, e Event) error
}

// Mode says where a connector's methods run.
type Mode int

const (
	// Remote connectors go over a network: each event is a durable delivery of its own, retried for up
	// to three days, and outlives the run.
	Remote Mode = iota
	// Inline connectors are in-process or in the same database and take at most InlineLimit. They run
	// right after the event was recorded; one that fails is delivered like a remote one.
	Inline
)

// InlineLimit bounds one call of an inline connector.
const InlineLimit = time.Second

// Declarer is implemented by connectors that say where they run and what they want. One that does not
// is remote and wants every event.
type Declarer interface {
	Mode() Mode
	// Wants reports whether the event is to be delivered. What nobody wants costs nothing. It is asked
	// before the event is written: Seq is not known yet.
	Wants(e Event) bool
}

// Event is what a connector is told.
type Event struct {
	TenantID    uuid.UUID       `json:"tenant_id"`
	WorkspaceID *uuid.UUID      `json:"workspace_id,omitempty"`
	AgentID     uuid.UUID       `json:"agent_id"`
	ThreadID    *uuid.UUID      `json:"thread_id,omitempty"`
	RunID       uuid.UUID       `json:"run_id"`
	Seq         int64           `json:"seq"`
	Type        event.Type      `json:"type"`
	At          clock.Time      `json:"at"`
	Data        json.RawMessage `json:"data"`
	Metadata    json.RawMessage `json:"metadata"`
	RequestID   string          `json:"-"`
	Actor       string          `json:"-"` // who asked for the run
	WebhookURL  string          `json:"-"` // the run's own webhook, "" for none
	TraceID     string          `json:"-"` // of the trace that it is told in, "" for none that is kept
	Target      string          `json:"-"` // which of the connector's receivers this delivery is for; "" when it has one
}

// IdempotencyKey is the same for every attempt to tell the connector of this event.
func (e Event) IdempotencyKey(connector string) string {
	key := fmt.Sprintf("%s:%d:%s", e.RunID, e.Seq, connector)
	if e.Target != "" {
		key += ":" + e.Target
	}
	return key
}

// Call hands the event to the connector's method for it; a type without a hook is handed to none. A
// panic becomes an error: a connector never takes its caller down.
func Call(ctx context.Context, c RuntimeConnector, e Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("connector %s panicked: %v", c.Name(), p)
		}
	}()
	switch e.Type.Hook() {
	case event.HookStart:
		return c.OnStart(ctx, e)
	case event.HookProgress:
		return c.OnProgress(ctx, e)
	case event.HookComplete:
		return c.OnComplete(ctx, e)
	case event.HookError:
		return c.OnError(ctx, e)
	case event.HookCancel:
		return c.OnCancel(ctx, e)
	case event.HookNone:
	}
	return nil
}

// ErrRefused says, wrapped into a connector's error, that the event will never be taken: the delivery
// ends instead of being tried again.
var ErrRefused = errors.New("the receiver refuses the event")
