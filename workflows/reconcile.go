package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/internal/runs"
)

// Reconcile makes one pass over the runs, beginning where the last one that succeeded stopped: its schedule
// hands that on. Its result is what the next pass begins with.
func Reconcile(ctx workflow.Context) (runs.Pass, error) {
	var last runs.Pass
	if workflow.HasLastCompletionResult(ctx) {
		if err := workflow.GetLastCompletionResult(ctx, &last); err != nil {
			last = runs.Pass{} // another version's: look at everything again
		}
	}
	ctx = workflow.WithActivityOptions(ctx, passOptions())
	var pass runs.Pass
	err := workflow.ExecuteActivity(ctx, steps.Reconcile, last.Next(workflow.Now(ctx))).Get(ctx, &pass)
	return pass, err
}
