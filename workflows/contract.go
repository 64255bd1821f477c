// Package workflows holds the deterministic orchestration: what a run does, in which order, until when.
// It reads like the business rule; everything that touches the world is an activity.
package workflows

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
)

// Task queues. Deliveries have their own workers and limits: a slow receiver never holds up a run. The
// reconciler has its own too: no backlog of either holds up the passes that look after both. So have the firings
// of schedules, of which thousands may be due in the same second.
const (
	RunQueue         = "runs"
	ConnectorQueue   = "connectors"
	MaintenanceQueue = "maintenance"
	ScheduleQueue    = "schedules"
)

// Queues lists the task queues.
func Queues() []string { return []string{RunQueue, ConnectorQueue, MaintenanceQueue, ScheduleQueue} }

// Names of workflow types, signals and update handlers, as histories hold them: never renamed.
const (
	AgentRunName     = "AgentRun"
	DeliverEventName = "DeliverEvent"
	ReconcileName    = "Reconcile"
	FireScheduleName = "FireSchedule"
	ApprovalSignal   = "approval-resolved"
)

// RunWorkflowID names the workflow of a run. The tenant comes first: ids of a tenant sort together, and
// payload codecs find it there.
func RunWorkflowID(tenant, run uuid.UUID) string { return tenant.String() + "/run/" + run.String() }

// ParseRunWorkflowID is RunWorkflowID backwards; ok is false for another workflow's id.
func ParseRunWorkflowID(id string) (tenant, run uuid.UUID, ok bool) {
	first, last, found := strings.Cut(id, "/run/")
	tenant, errTenant := uuid.Parse(first)
	run, errRun := uuid.Parse(last)
	return tenant, run, found && errTenant == nil && errRun == nil && id == RunWorkflowID(tenant, run)
}

// The reconciler's schedule, of which a namespace has one, and the workflows that it starts.
const (
	ReconcileScheduleID = "lari-reconcile"
	ReconcileWorkflowID = "reconcile"
)

// DeliveryWorkflowID names the workflow of a delivery: the same delivery twice is one.
func DeliveryWorkflowID(d connectors.Delivery) string {
	id := fmt.Sprintf("%s/delivery/%s/%d/%s", d.TenantID, d.RunID, d.Seq, d.Connector)
	if d.Target != "" {
		id += "/" + d.Target
	}
	if d.Round > 1 {
		id += fmt.Sprintf("/again-%d", d.Round)
	}
	return id
}

// Search attributes, all keywords: what the Temporal UI is searched by.
var (
	TenantID    = temporal.NewSearchAttributeKeyKeyword("TenantId")
	AgentID     = temporal.NewSearchAttributeKeyKeyword("AgentId")
	RunStatus   = temporal.NewSearchAttributeKeyKeyword("RunStatus")
	TriggerKind = temporal.NewSearchAttributeKeyKeyword("TriggerKind")
)

// RunInput is all that the workflow of a run is told. Texts stay in Postgres.
type RunInput struct {
	activities.RunRef
	// HooksVersion is the version of the lifecycle interceptor's commands. It is in the input because
	// changing the interceptor changes the commands of every open run.
	HooksVersion int              `json:"hooks_version"`
	MaxSteps     int              `json:"max_steps"`
	Timeout      time.Duration    `json:"timeout"` // of thinking and acting; waiting for a human is not counted
	ApprovalTTL  time.Duration    `json:"approval_ttl"`
	MaxTokens    *int64           `json:"max_tokens,omitempty"`
	MaxCostUSD   *decimal.Decimal `json:"max_cost_usd,omitempty"`
	// StepsPerExecution is after how many steps the workflow continues as new; zero: when the server
	// suggests it.
	StepsPerExecution int   `json:"steps_per_execution,omitempty"`
	State             State `json:"state"`
}

// State is what a run carries over when it continues as new.
type State struct {
	Step     int         `json:"step"`
	Usage    event.Usage `json:"usage"`
	Deadline time.Time   `json:"deadline"`
	Held     int         `json:"held,omitempty"` // how often a quota held the next step back
}

// RunResult is what the workflow of a run returns; the answer itself is in Postgres.
type RunResult struct {
	Status runs.Status `json:"status"`
	Steps  int         `json:"steps"`
	Usage  event.Usage `json:"usage"`
}

// LifecycleSubject makes the input one whose lifecycle the interceptor raises.
func (in RunInput) LifecycleSubject() activities.RunRef { return in.RunRef }

// ApprovalResolved is the payload of ApprovalSignal.
type ApprovalResolved struct {
	ApprovalID uuid.UUID `json:"approval_id"`
}
