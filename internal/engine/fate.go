package engine

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/workflows"
)

// stuckAttempts is how often a workflow task has to fail before its workflow counts as stuck: a worker that
// dies costs an attempt too.
const stuckAttempts = 3

// FindFate asks Temporal for the latest execution of a run's workflow.
func (e *Engine) FindFate(ctx context.Context, tenant, run uuid.UUID) (runs.Fate, error) {
	ctx, stop := limited(ctx)
	defer stop()
	id := workflows.RunWorkflowID(tenant, run)
	d, err := e.client.DescribeWorkflowExecution(ctx, id, "")
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing):
		return runs.Fate{Ending: runs.EndingGone}, nil
	case err != nil:
		return runs.Fate{}, translate(err)
	}
	info := d.GetWorkflowExecutionInfo()
	fate := runs.Fate{Ending: fateOf(d)}
	if t := d.GetWorkflowExtendedInfo().GetLastResetTime(); t.IsValid() {
		fate.ResetAt = t.AsTime()
	}
	if fate.Ending == runs.EndingTerminated {
		fate.Reason, err = e.whyTerminated(ctx, id, info.GetExecution().GetRunId())
	}
	return fate, err
}

func fateOf(d *workflowservice.DescribeWorkflowExecutionResponse) runs.Ending {
	end := ending(d.GetWorkflowExecutionInfo())
	if end == runs.EndingOpen && d.GetPendingWorkflowTask().GetAttempt() >= stuckAttempts {
		end = runs.EndingStuck
	}
	return end
}

func ending(info *workflowpb.WorkflowExecutionInfo) runs.Ending {
	switch info.GetStatus() {
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return runs.EndingCompleted
	case enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:
		return runs.EndingFailed
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return runs.EndingCancelled
	case enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return runs.EndingTerminated
	case enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return runs.EndingTimedOut
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED,
		enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED:
	}
	return runs.EndingOpen
}

// whyTerminated gives the reason that whoever terminated the execution gave.
func (e *Engine) whyTerminated(ctx context.Context, id, execution string) (string, error) {
	history := e.client.GetWorkflowHistory(ctx, id, execution, false, enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
	reason := ""
	for history.HasNext() {
		event, err := history.Next()
		var missing *serviceerror.NotFound
		switch {
		case errors.As(err, &missing): // deleted since: it was terminated all the same
			return "", nil
		case err != nil:
			return "", translate(err)
		}
		reason = event.GetWorkflowExecutionTerminatedEventAttributes().GetReason()
	}
	return reason, nil
}

// FindClosed reads Temporal's list of closed workflows of runs.
func (e *Engine) FindClosed(ctx context.Context, w runs.Window, limit int) (closed []runs.Closed, next string, err error) {
	ctx, stop := limited(ctx)
	defer stop()
	token, err := base64.StdEncoding.DecodeString(w.Cursor)
	if err != nil {
		return nil, "", fault.New(fault.Malformed, "The cursor is not one of this list.")
	}
	page, err := e.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: e.namespace, PageSize: int32(limit), NextPageToken: token, //nolint:gosec // a page's size
		Query: fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus IN ('Terminated', 'TimedOut', 'Failed', 'Canceled', 'Completed') "+
			"AND CloseTime >= '%s' AND CloseTime < '%s'", workflows.AgentRunName, stamp(w.From), stamp(w.Until)),
	})
	if err != nil {
		return nil, "", translate(err)
	}
	for _, info := range page.GetExecutions() {
		tenant, run, ok := workflows.ParseRunWorkflowID(info.GetExecution().GetWorkflowId())
		if !ok {
			continue // another program's workflow of that name
		}
		end := ending(info)
		closed = append(closed, runs.Closed{
			TenantID: tenant, RunID: run, Killed: end == runs.EndingTerminated || end == runs.EndingTimedOut,
		})
	}
	return closed, base64.StdEncoding.EncodeToString(page.GetNextPageToken()), nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
