package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/runs"
)

// Start is how the workflow of a run begins, whoever begins it: the engine, or the firing of a schedule as its
// parent.
type Start struct {
	ID         string
	TaskQueue  string
	Timeout    time.Duration // after which the server closes the workflow
	Priority   temporal.Priority
	Summary    string
	Attributes temporal.SearchAttributes
	Input      RunInput
}

// StartOf gives the start of a run's workflow. stepsPer is after how many steps it continues as new; zero: when
// Temporal suggests it.
func StartOf(r runs.Run, stepsPer int) Start {
	trigger := "api"
	if r.ScheduleID != nil {
		trigger = "schedule"
	}
	return Start{
		ID: RunWorkflowID(r.TenantID, r.ID), TaskQueue: RunQueue, Timeout: backstop(r.Limits),
		Priority: temporal.Priority{FairnessKey: r.TenantID.String()}, Summary: r.Title,
		Attributes: temporal.NewSearchAttributes(
			TenantID.ValueSet(r.TenantID.String()), AgentID.ValueSet(r.AgentID.String()),
			RunStatus.ValueSet(string(runs.Running)), TriggerKind.ValueSet(trigger)),
		Input: RunInput{
			RunRef:       activities.RunRef{TenantID: r.TenantID, RunID: r.ID, RequestID: r.RequestID},
			HooksVersion: HooksVersion, MaxSteps: r.Limits.MaxSteps, Timeout: r.Limits.Timeout, ApprovalTTL: r.Limits.ApprovalTTL,
			MaxTokens: r.Limits.MaxTokens, MaxCostUSD: r.Limits.MaxCostUSD, StepsPerExecution: stepsPer,
			State: State{Step: max(r.ForkedStep-1, 0)},
		},
	}
}

// backstop is after how long Temporal itself closes the workflow of a run. The run's time limit counts
// thinking and acting and is kept by the workflow; this one is for a workflow that cannot, because its code
// fails over and over, and leaves room for whatever a run may rightly wait for: one approval a step, workers
// that are away, a version that fits, and a quota's next month.
func backstop(l runs.Limits) time.Duration {
	return l.Timeout + time.Duration(l.MaxSteps)*l.ApprovalTTL + backstopGrace
}

const backstopGrace = (31 + 3) * 24 * time.Hour
