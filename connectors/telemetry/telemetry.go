// Package telemetry is the connector that turns the lifecycle of runs into metrics.
package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
)

// Meter takes the figures.
type Meter interface {
	RunStarted(e connectors.Event, queued time.Duration)
	RunEnded(e connectors.Event, status string, took time.Duration)
	RunStopped(e connectors.Event, took time.Duration) // from asked to stopped
}

// Connector meters runs. It is inline: nothing leaves the process.
type Connector struct {
	meter  Meter
	recent recent
}

var (
	_ connectors.RuntimeConnector = (*Connector)(nil)
	_ connectors.Declarer         = (*Connector)(nil)
)

// New makes the connector.
func New(meter Meter) *Connector { return &Connector{meter: meter, recent: newRecent(remembered)} }

// Name is "telemetry".
func (c *Connector) Name() string { return "telemetry" }

// Mode is inline.
func (c *Connector) Mode() connectors.Mode { return connectors.Inline }

// Wants the start and the end of a run.
func (c *Connector) Wants(e connectors.Event) bool { return e.Type.Hook() != event.HookProgress }

// OnStart counts the run and how long it was queued.
func (c *Connector) OnStart(_ context.Context, e connectors.Event) error {
	var p event.Started
	if err := read(e, &p); err != nil {
		return err
	}
	if c.recent.first(e) {
		c.meter.RunStarted(e, milliseconds(p.QueuedMS))
	}
	return nil
}

// OnProgress does nothing.
func (c *Connector) OnProgress(context.Context, connectors.Event) error { return nil }

// OnComplete counts a completed run.
func (c *Connector) OnComplete(_ context.Context, e connectors.Event) error {
	var p event.Completed
	if err := read(e, &p); err != nil {
		return err
	}
	if c.recent.first(e) {
		c.meter.RunEnded(e, "completed", milliseconds(p.DurationMS))
	}
	return nil
}

// OnError counts a failed or timed-out run.
func (c *Connector) OnError(_ context.Context, e connectors.Event) error {
	var p event.Failed
	if err := read(e, &p); err != nil {
		return err
	}
	status := "failed"
	if p.Code == event.ErrorTimeout {
		status = "timed_out"
	}
	if c.recent.first(e) {
		c.meter.RunEnded(e, status, milliseconds(p.DurationMS))
	}
	return nil
}

// OnCancel counts a cancelled run and how long it took to stop.
func (c *Connector) OnCancel(_ context.Context, e connectors.Event) error {
	var p event.Cancelled
	if err := read(e, &p); err != nil {
		return err
	}
	if c.recent.first(e) {
		c.meter.RunEnded(e, "cancelled", milliseconds(p.DurationMS))
		c.meter.RunStopped(e, milliseconds(p.StoppedMS))
	}
	return nil
}

func read(e connectors.Event, into any) error {
	if err := json.Unmarshal(e.Data, into); err != nil {
		return fmt.Errorf("read %s: %w", e.Type, err)
	}
	return nil
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
