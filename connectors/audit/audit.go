// Package audit is the connector that keeps who did what: a row in audit_logs for the start and the
// end of every run, and the run's summary.
package audit

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
)

// Trail keeps audit rows. Appending an entry whose key is known changes nothing.
type Trail interface {
	Append(ctx context.Context, e Entry) error
}

// Summariser writes the summary of an ended run into its row.
type Summariser interface {
	Summarise(ctx context.Context, run uuid.UUID) error
}

// Entry is what happened to a run. The tenant is the context's.
type Entry struct {
	Key       string // names the entry: the same fact told twice is one row
	At        clock.Time
	Actor     string
	Action    string
	RunID     uuid.UUID
	Outcome   string
	RequestID string
	Data      json.RawMessage
}

// Connector writes the trail. It is inline: same database, no network.
type Connector struct {
	trail Trail
	runs  Summariser
}

var (
	_ connectors.RuntimeConnector = (*Connector)(nil)
	_ connectors.Declarer         = (*Connector)(nil)
)

// New makes the connector.
func New(trail Trail, runs Summariser) *Connector { return &Connector{trail: trail, runs: runs} }

// Name is "audit".
func (c *Connector) Name() string { return "audit" }

// Mode is inline.
func (c *Connector) Mode() connectors.Mode { return connectors.Inline }

// Wants the start and the end of a run; progress is in the run's own log.
func (c *Connector) Wants(e connectors.Event) bool { return e.Type.Hook() != event.HookProgress }

// OnStart writes that the run began.
func (c *Connector) OnStart(ctx context.Context, e connectors.Event) error {
	return c.append(ctx, e, "run.start", "success")
}

// OnProgress does nothing.
func (c *Connector) OnProgress(context.Context, connectors.Event) error { return nil }

// OnComplete writes that the run completed.
func (c *Connector) OnComplete(ctx context.Context, e connectors.Event) error {
	return c.end(ctx, e, "run.complete", "success")
}

// OnError writes that the run failed.
func (c *Connector) OnError(ctx context.Context, e connectors.Event) error {
	return c.end(ctx, e, "run.error", "failure")
}

// OnCancel writes that the run was cancelled, and by whom.
func (c *Connector) OnCancel(ctx context.Context, e connectors.Event) error {
	return c.end(ctx, e, "run.cancel", "cancelled")
}

func (c *Connector) end(ctx context.Context, e connectors.Event, action, outcome string) error {
	if err := c.append(ctx, e, action, outcome); err != nil {
		return err
	}
	return c.runs.Summarise(ctx, e.RunID)
}

func (c *Connector) append(ctx context.Context, e connectors.Event, action, outcome string) error {
	data, err := compact(e)
	if err != nil {
		return err
	}
	actor := e.Actor
	if e.Type == event.RunCancelled {
		var cancelled event.Cancelled
		if err := json.Unmarshal(e.Data, &cancelled); err != nil {
			return fmt.Errorf("read %s: %w", e.Type, err)
		}
		actor = cancelled.By
	}
	return c.trail.Append(ctx, Entry{
		Key: e.IdempotencyKey(c.Name()), At: e.At, Actor: actor, Action: action, RunID: e.RunID, Outcome: outcome,
		RequestID: e.RequestID, Data: data,
	})
}

// compact leaves out what a run said: the trail tells facts, not content.
func compact(e connectors.Event) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(e.Data, &fields); err != nil {
		return nil, fmt.Errorf("read %s: %w", e.Type, err)
	}
	if fields == nil { // the data was null
		return nil, fmt.Errorf("read %s: %w", e.Type, connectors.ErrRefused)
	}
	delete(fields, "output")
	agent, err := json.Marshal(e.AgentID)
	if err != nil {
		return nil, fmt.Errorf("encode the agent: %w", err)
	}
	fields["agent_id"] = agent
	return json.Marshal(fields)
}
