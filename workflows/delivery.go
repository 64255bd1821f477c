package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/connectors"
)

// DeliverEvent tells one connector of one event, for up to three days. It is a workflow of its own: it
// outlives the run, and the Temporal UI shows its attempts.
func DeliverEvent(ctx workflow.Context, d connectors.Delivery) error {
	ctx = workflow.WithActivityOptions(ctx, deliveryOptions(d.Connector))
	err := workflow.ExecuteActivity(ctx, steps.Deliver, d).Get(ctx, nil)
	var refused *temporal.ApplicationError
	if err == nil || errors.As(err, &refused) && refused.NonRetryable() {
		return err
	}
	if workflow.GetVersion(ctx, "give up", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return err
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx) // also of a delivery that an operator cancelled
	if failed := workflow.ExecuteActivity(ctx, steps.GiveUpDelivery, d).Get(ctx, nil); failed != nil {
		return failed
	}
	return err
}
