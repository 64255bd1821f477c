package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/tenants"
	"github.com/larirun/lari/workflows"
)

var _ tenants.DeletionEngine = (*Engine)(nil)

// StartDeletion begins the workflow of a deletion; one that is open is no error.
func (e *Engine) StartDeletion(ctx context.Context, tenant, deletion uuid.UUID) error {
	if !e.prepared.Load() {
		return fault.New(fault.Unavailable, "Temporal cannot be reached, or is being prepared.").After(retryUnavailable)
	}
	ctx, stop := limited(ctx)
	defer stop()
	_, err := e.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       workflows.DeletionWorkflowID(tenant),
		TaskQueue:                                workflows.MaintenanceQueue,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            "deletes the tenant " + tenant.String(),
		TypedSearchAttributes:                    temporal.NewSearchAttributes(workflows.TenantID.ValueSet(tenant.String())),
	}, workflows.DeleteTenantName, activities.TenantDeletion{TenantID: tenant, DeletionID: deletion})
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return nil
	}
	return translate(err)
}

// HurryDeletion lets the workflow of a deletion look at its record at once.
func (e *Engine) HurryDeletion(ctx context.Context, tenant uuid.UUID) error {
	ctx, stop := limited(ctx)
	defer stop()
	return ignoreEnded(e.client.SignalWorkflow(ctx, workflows.DeletionWorkflowID(tenant), "", workflows.HurrySignal, nil))
}

// endPage is how many schedules or workflows one request lists.
const endPage = 200

// EndSchedules removes the schedules that carry the tenant's search attribute. One that cannot be removed is an error, and
// does not keep the others.
func (e *Engine) EndSchedules(ctx context.Context, tenant uuid.UUID) error {
	list, err := e.client.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: endPage, Query: ofTenant(tenant)})
	if err != nil {
		return translate(err)
	}
	var failed error
	for list.HasNext() {
		s, err := list.Next()
		if err != nil {
			return errors.Join(failed, translate(err))
		}
		failed = errors.Join(failed, ignoreEnded(e.client.ScheduleClient().GetHandle(ctx, s.ID).Delete(ctx)))
	}
	return failed
}

// EndWorkflows terminates the tenant's open workflows, all but its deletion, and returns how many it found open. It
// reads the list to its end, or until a time: then the number is at least one. What cannot be terminated is an error,
// and does not keep the others.
func (e *Engine) EndWorkflows(ctx context.Context, tenant uuid.UUID, until time.Time) (ended int, failed error) {
	var next []byte
	for {
		page, err := e.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: e.namespace, PageSize: endPage, NextPageToken: next, Query: ofTenant(tenant) + " AND ExecutionStatus = 'Running'",
		})
		if err != nil {
			return ended, errors.Join(failed, translate(err))
		}
		for _, info := range page.GetExecutions() {
			at := info.GetExecution()
			if at.GetWorkflowId() == workflows.DeletionWorkflowID(tenant) {
				continue
			}
			err := e.client.TerminateWorkflow(ctx, at.GetWorkflowId(), at.GetRunId(), "The tenant is being deleted.")
			var missing *serviceerror.NotFound
			switch {
			case errors.As(err, &missing): // it has ended meanwhile: the list lags behind
			case err != nil:
				failed = errors.Join(failed, translate(err))
			default:
				ended++
			}
			if time.Now().After(until) {
				return max(ended, 1), failed
			}
		}
		if next = page.GetNextPageToken(); len(next) == 0 || ctx.Err() != nil {
			return ended, errors.Join(failed, ctx.Err())
		}
	}
}

func ofTenant(tenant uuid.UUID) string {
	return fmt.Sprintf("%s = '%s'", workflows.TenantID.GetName(), tenant)
}
