package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/connectors"
)

// DeliverEvent tells one connector of one event, for up to three days. It is a workflow of its own: it
// outlives the run, and the Temporal UI shows its attempts.
func DeliverEvent(ctx workflow.Context, d connectors.Delivery) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ScheduleToCloseTimeout: 72 * time.Hour,
		StartToCloseTimeout:    30 * time.Second,
		Summary:                d.Connector,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Hour},
	})
	return workflow.ExecuteActivity(ctx, steps.Deliver, d).Get(ctx, nil)
}
