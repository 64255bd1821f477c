// Package activities holds the steps of workflows: thin, retryable, each done again without harm after
// a crash. They call services; decisions are the workflows'. Inputs and results are ids and small
// facts: texts stay in Postgres.
package activities

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/deliveries"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/quotas"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/internal/schedules"
	"github.com/larirun/lari/internal/tenants"
	"github.com/larirun/lari/internal/threads"
	"github.com/larirun/lari/internal/tools"
)

// Observer is told what models and tools did, for metrics.
type Observer interface {
	ModelAnswered(t ModelTurnFacts)
	ModelFailed(provider, model string, class llm.Class)
	ToolCalled(c ToolCallFacts)
}

// ModelTurnFacts are the figures of a model's turn.
type ModelTurnFacts struct {
	TenantID   uuid.UUID
	RunID      uuid.UUID
	Step       int
	Provider   string
	Model      string
	Usage      llm.Usage
	CostUSD    float64
	FirstToken time.Duration // from the request; zero: no text
	Took       time.Duration
	TraceID    string // of the trace, "" for none that is kept
}

// ToolCallFacts are the figures of a call of a tool.
type ToolCallFacts struct {
	RunID   uuid.UUID
	Tool    string
	Outcome string
	Took    time.Duration
	TraceID string // as above
}

// Activities are the steps. Workflows refer to its methods through a nil pointer.
type Activities struct {
	Runs       *runs.Service
	Log        *runs.Log
	Agents     *agents.Service
	Threads    *threads.Service
	Models     *llm.Router
	Prices     llm.PriceTable
	Tools      *tools.Registry
	Connectors *connectors.Registry
	Deliveries *deliveries.Service
	Schedules  *schedules.Service
	Quotas     *quotas.Service
	Deletion   *tenants.Deletions
	Heart      Heart
	Haste      *Haste
	DrainTime  time.Duration // how long an activity may go on once its worker stops
	Observer   Observer
	Logger     *slog.Logger
	// StepsPerExecution is after how many steps a run that a schedule begins continues as new; zero: when Temporal
	// suggests it.
	StepsPerExecution int
}

// RunRef names a run.
type RunRef struct {
	TenantID uuid.UUID `json:"tenant_id"`
	RunID    uuid.UUID `json:"run_id"`
	// RequestID is that of the request behind the run, for logs; "": it is not known.
	RequestID string `json:"request_id,omitempty"`
}

// scoped gives the context of the run and its tenant.
func (r RunRef) scoped(ctx context.Context) context.Context {
	return scope.With(ctx, scope.Scope{Tenant: r.TenantID, Actor: "system", RequestID: cmp.Or(r.RequestID, r.RunID.String()), Run: r.RunID})
}
