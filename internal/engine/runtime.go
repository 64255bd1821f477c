package engine

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/workflows"
)

// FindExecution gives what Temporal knows of a run.
func (e *Engine) FindExecution(ctx context.Context, tenant, run uuid.UUID) (runs.Execution, error) {
	ctx, stop := limited(ctx)
	defer stop()
	d, err := e.client.DescribeWorkflowExecution(ctx, workflows.RunWorkflowID(tenant, run), "")
	if err != nil {
		var missing *serviceerror.NotFound
		if errors.As(err, &missing) {
			return runs.Execution{}, fault.New(fault.NotFound, "Temporal does not know the run %s: it was not started yet, or its history is no longer kept.", run)
		}
		return runs.Execution{}, translate(err)
	}
	x := e.execution(run, d.GetWorkflowExecutionInfo())
	x.Ending = fateOf(d)
	if t := d.GetPendingWorkflowTask(); t != nil {
		x.PendingTask = &runs.PendingTask{Attempt: t.GetAttempt(), ScheduledAt: at(t.GetScheduledTime()), StartedAt: at(t.GetStartedTime())}
	}
	for _, p := range d.GetPendingActivities() {
		x.PendingActivities = append(x.PendingActivities, pendingActivity(p))
	}
	return x, nil
}

func pendingActivity(p *workflowpb.PendingActivityInfo) runs.PendingActivity {
	a := runs.PendingActivity{
		Type: p.GetActivityType().GetName(), State: p.GetState().String(), Attempt: p.GetAttempt(), MaxAttempts: p.GetMaximumAttempts(),
		LastFailure: p.GetLastFailure().GetMessage(), LastHeartbeat: at(p.GetLastHeartbeatTime()), NextAttemptAt: at(p.GetNextAttemptScheduleTime()),
		ScheduledAt: at(p.GetScheduledTime()), Work: runs.WorkOther,
	}
	switch p.GetState() {
	case enumspb.PENDING_ACTIVITY_STATE_STARTED, enumspb.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED, enumspb.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED:
		a.StartedAt = at(p.GetLastStartedTime())
	case enumspb.PENDING_ACTIVITY_STATE_SCHEDULED, enumspb.PENDING_ACTIVITY_STATE_PAUSED, enumspb.PENDING_ACTIVITY_STATE_UNSPECIFIED:
	}
	switch a.Type {
	case callModel:
		a.Work = runs.WorkThink
	case callTool:
		a.Work = runs.WorkAct
		if a.MaxAttempts == 0 && a.Attempt <= activities.ToolTries {
			a.MaxAttempts = activities.ToolTries
		}
	}
	var beat activities.Beat
	if details := p.GetHeartbeatDetails(); details != nil && converter.GetDefaultDataConverter().FromPayloads(details, &beat) == nil && !beat.WorkingAt.IsZero() {
		working := clock.At(beat.WorkingAt)
		a.WorkingAt = &working
	}
	switch f := p.GetLastFailure(); {
	case f.GetApplicationFailureInfo() != nil:
		a.FailureType = f.GetApplicationFailureInfo().GetType()
	case f.GetTimeoutFailureInfo() != nil:
		a.FailureType = "timeout"
	}
	return a
}

// Names of the activities that do a run's work; a test holds them to the methods'.
const (
	callModel = "CallModel"
	callTool  = "CallTool"
)

// FindExecutions gives a page of the tenant's executions from Temporal's visibility store.
func (e *Engine) FindExecutions(ctx context.Context, tenant uuid.UUID, limit int, cursor string) (found []runs.Execution, next string, err error) {
	ctx, stop := limited(ctx)
	defer stop()
	token, err := tokenOf(tenant, cursor)
	if err != nil {
		return nil, "", err
	}
	page, err := e.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: e.namespace, PageSize: int32(limit), NextPageToken: token, //nolint:gosec // at most 200
		Query: fmt.Sprintf("WorkflowType = '%s' AND TenantId = '%s'", workflows.AgentRunName, tenant),
	})
	var invalid *serviceerror.InvalidArgument
	switch {
	case errors.As(err, &invalid) && cursor != "":
		return nil, "", fault.New(fault.Malformed, "The cursor is not one of this list.")
	case err != nil:
		return nil, "", translate(err)
	}
	found = make([]runs.Execution, 0, len(page.GetExecutions()))
	for _, info := range page.GetExecutions() {
		of, run, ok := workflows.ParseRunWorkflowID(info.GetExecution().GetWorkflowId())
		if !ok || of != tenant {
			continue // another program's workflow, or another tenant's attribute
		}
		found = append(found, e.execution(run, info))
	}
	return found, cursorOf(tenant, page.GetNextPageToken()), nil
}

func (e *Engine) execution(run uuid.UUID, info *workflowpb.WorkflowExecutionInfo) runs.Execution {
	x := runs.Execution{
		RunID: run, WorkflowID: info.GetExecution().GetWorkflowId(), ExecutionID: info.GetExecution().GetRunId(),
		Status: info.GetStatus().String(), TaskQueue: info.GetTaskQueue(), StartedAt: at(info.GetStartTime()), ClosedAt: at(info.GetCloseTime()),
		HistoryEvents: info.GetHistoryLength(), HistoryBytes: info.GetHistorySizeBytes(), PendingActivities: []runs.PendingActivity{},
	}
	if e.uiURL != "" {
		x.UIURL = fmt.Sprintf("%s/namespaces/%s/workflows/%s/%s", strings.TrimSuffix(e.uiURL, "/"), url.PathEscape(e.namespace),
			url.PathEscape(x.WorkflowID), url.PathEscape(x.ExecutionID))
	}
	return x
}

func at(t *timestamppb.Timestamp) *clock.Time {
	if !t.IsValid() {
		return nil
	}
	at := clock.At(t.AsTime())
	return &at
}
