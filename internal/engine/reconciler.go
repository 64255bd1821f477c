package engine

import (
	"context"
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/workflows"
)

const (
	// catchUp bounds which passes are made after Temporal was away: each looks at everything since the last.
	catchUp = 10 * time.Second
	// passLimit ends a pass that no worker takes on, so that it does not hold up the next one for ever.
	passLimit = 10 * time.Minute
)

// ScheduleReconciler makes the schedule of the reconciler's passes, or gives it the interval. Any number of
// processes may do so at once; a schedule that an operator has paused stays paused.
func (e *Engine) ScheduleReconciler(ctx context.Context, every time.Duration) error {
	ctx, stop := limited(ctx)
	defer stop()
	spec := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: every}}}
	_, err := e.client.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: workflows.ReconcileScheduleID, Spec: spec, Action: reconcile(), Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		CatchupWindow: catchUp, TriggerImmediately: true, Note: "closes runs whose workflow could not",
	})
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		var exists *serviceerror.AlreadyExists
		if !errors.As(err, &exists) {
			return translate(err)
		}
	}
	handle := e.client.ScheduleClient().GetHandle(ctx, workflows.ReconcileScheduleID)
	known, err := handle.Describe(ctx)
	if err != nil {
		return translate(err)
	}
	if has := known.Schedule.Spec; has != nil && len(has.Intervals) == 1 && has.Intervals[0].Every == every {
		return nil
	}
	return translate(handle.Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			schedule := in.Description.Schedule
			schedule.Spec, schedule.Action = &spec, reconcile()
			return &client.ScheduleUpdate{Schedule: &schedule}, nil
		},
	}))
}

func reconcile() *client.ScheduleWorkflowAction {
	return &client.ScheduleWorkflowAction{
		ID: workflows.ReconcileWorkflowID, TaskQueue: workflows.MaintenanceQueue, Workflow: workflows.ReconcileName,
		WorkflowRunTimeout: passLimit, StaticSummary: "compares unfinished runs with their workflows",
	}
}
