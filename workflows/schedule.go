package workflows

import (
	"strings"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/runs"
)

// ScheduleID names a schedule in Temporal, and begins the ids of its firings' workflows.
func ScheduleID(tenant, schedule uuid.UUID) string {
	return tenant.String() + "/schedule/" + schedule.String()
}

// FiringTime gives the nominal time of a firing from the id of its workflow, which Temporal makes of the schedule's
// and of that time.
func FiringTime(tenant, schedule uuid.UUID, workflowID string) (nominal time.Time, ok bool) {
	text, ok := strings.CutPrefix(workflowID, ScheduleID(tenant, schedule)+"-")
	if !ok {
		return time.Time{}, false
	}
	nominal, err := time.Parse(time.RFC3339, text)
	return nominal, err == nil
}

// ScheduledAt is the attribute in which Temporal says which time of the spec a firing is for.
var ScheduledAt = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

// FireInput is all that a schedule hands to its firings. Texts stay in Postgres.
type FireInput struct {
	activities.ScheduleRef
	// FailTogether lets the firing fail when its run does, or is refused: Temporal pauses the schedule then.
	FailTogether bool `json:"fail_together,omitempty"`
}

// FireResult is what became of a firing.
type FireResult struct {
	RunID  *uuid.UUID  `json:"run_id,omitempty"`
	Status runs.Status `json:"status,omitempty"` // of the run; empty: it was begun by somebody else
	Code   string      `json:"code,omitempty"`   // why there is no run
	Detail string      `json:"detail,omitempty"`
}

// FireSchedule is one firing: it has a run accepted and executes it as its child. It is open as long as its run, so
// that Temporal's overlap policies, which look at this workflow, apply to runs.
func FireSchedule(ctx workflow.Context, in FireInput) (FireResult, error) {
	f := fireSchedule{in: in, firing: activities.Firing{
		ScheduleRef: in.ScheduleRef, Nominal: scheduledAt(ctx), Execution: workflow.GetInfo(ctx).OriginalRunID,
	}}
	return f.run(ctx)
}

type fireSchedule struct {
	in     FireInput
	firing activities.Firing
}

// refusedFiring is the type of the error of a firing whose run was refused.
const refusedFiring = "firing_refused"

func (f *fireSchedule) run(ctx workflow.Context) (FireResult, error) {
	actx := workflow.WithActivityOptions(ctx, firingOptions(f.firing.Nominal))
	var fired activities.Fired
	err := workflow.ExecuteActivity(actx, steps.FireSchedule, f.firing).Get(actx, &fired)
	switch {
	case ctx.Err() != nil:
		return f.stop(ctx)
	case err != nil:
		return FireResult{}, err
	case fired.Run == nil && f.in.FailTogether:
		return FireResult{}, temporal.NewNonRetryableApplicationError(fired.Detail, refusedFiring, nil, fired.Code)
	case fired.Run == nil:
		return FireResult{Code: fired.Code, Detail: fired.Detail}, nil
	}
	return f.execute(ctx, *fired.Run)
}

// execute runs the child. A cancel does not reach it from here but through the service, which records who asked and
// why; a firing that is terminated takes its run with it.
func (f *fireSchedule) execute(ctx workflow.Context, r activities.ScheduledRun) (FireResult, error) {
	start := StartOf(runs.Run{
		ID: r.RunID, TenantID: r.TenantID, AgentID: r.AgentID, ScheduleID: &f.in.ScheduleID, Title: r.Title, Limits: r.Limits,
	}, r.StepsPer)
	dctx, _ := workflow.NewDisconnectedContext(ctx)
	child := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(dctx, workflow.ChildWorkflowOptions{
		WorkflowID: start.ID, TaskQueue: start.TaskQueue, WorkflowExecutionTimeout: start.Timeout, Priority: start.Priority,
		StaticSummary: start.Summary, TypedSearchAttributes: start.Attributes,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_TERMINATE,
	}), AgentRunName, start.Input)
	done := FireResult{RunID: &r.RunID}
	err := child.GetChildWorkflowExecution().Get(dctx, nil)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return done, nil // the dispatcher took this firing for dead and has begun its run
	}
	if err != nil {
		return done, err
	}
	var result RunResult
	workflow.NewSelector(dctx).
		AddFuture(child, func(workflow.Future) {}).
		AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {}).
		Select(dctx)
	if !child.IsReady() {
		_, stopped := f.stop(ctx)
		_ = child.Get(dctx, nil) // how the run ended is on record
		return done, stopped
	}
	switch err := child.Get(dctx, &result); {
	case err == nil:
		done.Status = result.Status
	case temporal.IsCanceledError(err):
		done.Status = runs.Cancelled
	case f.in.FailTogether:
		return done, err
	default:
		done.Status = runs.Failed
	}
	return done, nil
}

// stop ends what the firing has begun, and gives its end.
func (f *fireSchedule) stop(ctx workflow.Context) (FireResult, error) {
	dctx, _ := workflow.NewDisconnectedContext(ctx)
	dctx = workflow.WithActivityOptions(dctx, stopFiringOptions())
	stop := activities.StopFiring{Firing: f.firing, Reason: "The firing of the schedule was cancelled, by the next one or in Temporal."}
	if err := workflow.ExecuteActivity(dctx, steps.StopFiring, stop).Get(dctx, nil); err != nil {
		return FireResult{}, err
	}
	return FireResult{}, temporal.NewCanceledError()
}

// scheduledAt is the nominal time of the firing; that of its start when nobody but a person started it.
func scheduledAt(ctx workflow.Context) time.Time {
	if t, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(ScheduledAt); ok {
		return t
	}
	return workflow.GetInfo(ctx).WorkflowStartTime
}
