package app

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/connectors"
	telemetryconnector "github.com/larirun/lari/connectors/telemetry"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/stream"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/internal/schedules"
)

// meter joins what observes to the metrics: those that Prometheus reads and those that Datadog is sent.
type meter struct {
	metrics *telemetry.Metrics
	datadog *telemetry.DogStatsD // nil: there is no agent
}

var (
	_ activities.Observer      = meter{}
	_ connectors.Observer      = meter{}
	_ stream.Observer          = meter{}
	_ telemetryconnector.Meter = meter{}
	_ runs.ReconcileObserver   = meter{}
	_ schedules.Observer       = meter{}
)

func (m meter) ModelAnswered(t activities.ModelTurnFacts) {
	m.metrics.Model.Spent(t.TenantID.String(), t.Provider, t.Model, t.Usage.InputTokens, t.Usage.OutputTokens, t.CostUSD)
	m.metrics.Model.Answered(t.Provider, t.Model, t.RunID.String(), t.Took, t.TraceID)
	m.datadog.ModelSpent(t.TenantID.String(), t.Provider, t.Model, t.Usage.InputTokens, t.Usage.OutputTokens, t.CostUSD)
	m.datadog.ModelAnswered(t.Provider, t.Model, t.Took)
	if t.Step == 1 && t.FirstToken > 0 {
		m.metrics.Runs.FirstToken(t.TenantID.String(), t.RunID.String(), t.FirstToken, t.TraceID)
		m.datadog.FirstToken(t.TenantID.String(), t.FirstToken)
	}
}

func (m meter) ModelFailed(provider, model string, class llm.Class) {
	m.metrics.Model.Failed(provider, model, string(class))
	m.datadog.ModelFailed(provider, model, string(class))
}

func (m meter) ToolCalled(c activities.ToolCallFacts) {
	m.metrics.Tools.Called(c.Tool, c.Outcome, c.Took, telemetry.Exemplar{RunID: c.RunID.String(), TraceID: c.TraceID})
	m.datadog.ToolCalled(c.Tool, c.Outcome, c.Took)
}

func (m meter) Attempted(connector string, e connectors.Event, _ time.Duration, err error) {
	outcome := "delivered"
	var postponed *connectors.Postponed
	switch {
	case errors.As(err, &postponed):
		outcome = "postponed"
	case err != nil:
		outcome = "failed"
	}
	m.metrics.Connectors.Attempted(connector, string(e.Type.Hook()), outcome)
	m.datadog.ConnectorAttempted(connector, string(e.Type.Hook()), outcome)
	if err == nil {
		lag := time.Since(e.At.Time)
		m.metrics.Connectors.Delivered(connector, e.RunID.String(), lag, e.TraceID)
		m.datadog.ConnectorDelivered(connector, lag)
	}
}

// FiringsSettled counts firings; the lag is that of one whose time came and that has a run.
func (m meter) FiringsSettled(ctx context.Context, s schedules.Settled) {
	tenant := s.TenantID.String()
	m.metrics.Schedules.Settled(tenant, string(s.Outcome), string(s.Code), s.N)
	if s.Late != 0 {
		m.metrics.Schedules.Late(tenant, s.Late, telemetry.Exemplar{RunID: s.RunID.String(), TraceID: tracing.Sampled(ctx)})
	}
}

func (m meter) Passed(whole bool)        { m.metrics.Reconciler.Passed(whole) }
func (m meter) Reconciled(e runs.Ending) { m.metrics.Reconciler.Found(string(e)) }
func (m meter) EndTold()                 { m.metrics.Reconciler.Announced() }

// Every stream of this version is SSE.
const transport = "sse"

func (m meter) Opened(stream.Key) { m.metrics.Streams.Opened(transport) }
func (m meter) Closed(stream.Key) { m.metrics.Streams.Closed(transport) }

func (m meter) Delivered(_ stream.Key, n int, fromLog bool) {
	m.metrics.Streams.Delivered(transport, n)
	if fromLog {
		m.metrics.Streams.Replayed(transport, n)
	}
}

func (m meter) RunStarted(e connectors.Event, queued time.Duration) {
	m.metrics.Runs.Started(e.TenantID.String(), e.RunID.String(), queued, e.TraceID)
	m.datadog.RunStarted(e.TenantID.String(), idOrNone(e.WorkspaceID), queued)
	m.metrics.Runs.Activate(telemetry.ActiveRun{Tenant: e.TenantID.String(), Workspace: idOrNone(e.WorkspaceID), ID: e.RunID.String()})
}

func (m meter) RunEnded(e connectors.Event, status string, took time.Duration) {
	m.metrics.Runs.Finished(e.TenantID.String(), status, e.RunID.String(), took, e.TraceID)
	m.metrics.Runs.Deactivate(e.RunID.String())
	m.datadog.RunFinished(e.TenantID.String(), idOrNone(e.WorkspaceID), status, took)
}

func (m meter) RunStopped(e connectors.Event, took time.Duration) {
	m.metrics.Runs.Stopped(e.TenantID.String(), e.RunID.String(), took, e.TraceID)
	m.datadog.RunStopped(e.TenantID.String(), idOrNone(e.WorkspaceID), took)
}

func idOrNone(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	return id.String()
}
