package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/larirun/lari/internal/control"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/workflows"
)

var _ control.Engine = (*Engine)(nil)

// The methods of this file ask the service itself and not through the SDK's client, which would ask again
// within its own patience: their callers have little, and put up with no answer.

// FindServer gives the version of the Temporal server.
func (e *Engine) FindServer(ctx context.Context) (version string, err error) {
	info, err := e.client.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	return info.GetServerVersion(), translate(err)
}

// FindQueue gives the backlog and the pollers of a task queue.
func (e *Engine) FindQueue(ctx context.Context, name string) (control.Queue, error) {
	var q control.Queue
	for kind, backlog := range map[enumspb.TaskQueueType]*control.Backlog{
		enumspb.TASK_QUEUE_TYPE_WORKFLOW: &q.Workflows, enumspb.TASK_QUEUE_TYPE_ACTIVITY: &q.Activities,
	} {
		d, err := e.client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
			Namespace: e.namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: name}, TaskQueueType: kind, ReportStats: true,
		})
		if err != nil {
			return control.Queue{}, translate(err)
		}
		stats := d.GetStats()
		*backlog = control.Backlog{
			Tasks: stats.GetApproximateBacklogCount(), OldestWait: stats.GetApproximateBacklogAge().AsDuration(),
			AddRate: float64(stats.GetTasksAddRate()), DispatchRate: float64(stats.GetTasksDispatchRate()),
		}
		for _, p := range d.GetPollers() {
			q.Pollers = append(q.Pollers, control.Poller{
				Identity: p.GetIdentity(), BuildID: buildOf(p), LastSeen: clock.At(p.GetLastAccessTime().AsTime()),
			})
		}
	}
	return q, nil
}

// buildOf gives the version of a worker: the end of the identity that our workers give themselves, and for
// others the build id that they poll with.
func buildOf(p *taskqueuepb.PollerInfo) string {
	if _, version, ok := workflows.ParseWorkerIdentity(p.GetIdentity()); ok {
		return version
	}
	if id := p.GetDeploymentOptions().GetBuildId(); id != "" {
		return id
	}
	return "unknown"
}

// FindPasses gives the latest of the reconciler's passes and when the next one comes.
func (e *Engine) FindPasses(ctx context.Context) (control.Passes, error) {
	d, err := e.client.WorkflowService().DescribeSchedule(ctx, &workflowservice.DescribeScheduleRequest{
		Namespace: e.namespace, ScheduleId: workflows.ReconcileScheduleID,
	})
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing):
		return control.Passes{}, fault.New(fault.NotFound, "No passes are scheduled.")
	case err != nil:
		return control.Passes{}, translate(err)
	}
	p := control.Passes{Paused: d.GetSchedule().GetState().GetPaused()}
	if next := d.GetInfo().GetFutureActionTimes(); len(next) > 0 && !p.Paused {
		p.Next = at(next[0])
	}
	if actions := d.GetInfo().GetRecentActions(); len(actions) > 0 {
		err = e.describePass(ctx, actions[len(actions)-1], &p)
	}
	return p, err
}

func (e *Engine) describePass(ctx context.Context, last *schedulepb.ScheduleActionResult, p *control.Passes) error {
	p.LastBegan = at(last.GetActualTime())
	d, err := e.client.WorkflowService().DescribeWorkflowExecution(ctx, &workflowservice.DescribeWorkflowExecutionRequest{
		Namespace: e.namespace, Execution: last.GetStartWorkflowResult(),
	})
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing): // its history is no longer kept
		return nil
	case err != nil:
		return translate(err)
	}
	info := d.GetWorkflowExecutionInfo()
	p.LastEnded, p.Outcome = at(info.GetCloseTime()), string(ending(info))
	if p.Outcome == string(runs.EndingOpen) {
		p.Outcome = "running"
	}
	return nil
}

// schedulePage is how many schedules are read at once.
const schedulePage = 1000

// CountPausedSchedules counts the tenant's schedules that are paused, by Temporal's own listing.
func (e *Engine) CountPausedSchedules(ctx context.Context, tenant uuid.UUID) (int, error) {
	var n int
	var token []byte
	for {
		page, err := e.client.WorkflowService().ListSchedules(ctx, &workflowservice.ListSchedulesRequest{
			Namespace: e.namespace, MaximumPageSize: schedulePage, NextPageToken: token,
			Query: fmt.Sprintf("TenantId = '%s' AND TemporalSchedulePaused = true", tenant),
		})
		if err != nil {
			return 0, translate(err)
		}
		n += len(page.GetSchedules())
		if token = page.GetNextPageToken(); len(token) == 0 {
			return n, nil
		}
	}
}
