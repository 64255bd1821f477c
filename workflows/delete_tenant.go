package workflows

import (
	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/tenants"
)

// Names of the deletion of a tenant, as histories hold them: never renamed.
const (
	DeleteTenantName = "DeleteTenant"
	HurrySignal      = "hurry" // look at once: the deletion was cancelled
)

// DeletionWorkflowID names the workflow that deletes a tenant, of which there is one at a time.
func DeletionWorkflowID(tenant uuid.UUID) string { return tenant.String() + "/delete" }

// DeleteTenant goes on with a deletion until it is over. It holds no state: where the deletion stands, what
// comes next and when is in the record, which the activity reads and moves on.
func DeleteTenant(ctx workflow.Context, in activities.TenantDeletion) error {
	ctx = workflow.WithActivityOptions(ctx, deletionOptions())
	hurry := workflow.GetSignalChannel(ctx, HurrySignal)
	for {
		var step tenants.Step
		if err := workflow.ExecuteActivity(ctx, steps.AdvanceDeletion, in).Get(ctx, &step); err != nil {
			return err
		}
		if step.Over {
			return nil
		}
		if step.Pause > 0 {
			if _, err := workflow.AwaitWithTimeout(ctx, step.Pause, func() bool { return hurry.Len() > 0 }); err != nil {
				return err
			}
			for hurry.ReceiveAsync(nil) {
				continue
			}
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, DeleteTenantName, in)
		}
	}
}
