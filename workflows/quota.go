package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/internal/runs"
)

// Pauses before a step that a quota held back is tried again double from the first to the longest: a limit that
// was raised, or a new month, is noticed that late.
const (
	firstQuotaPause   = 10 * time.Second
	longestQuotaPause = time.Minute
)

// waitForQuota waits before the step is taken again. The wait is not counted against the run's time limit.
func (r *agentRun) waitForQuota(ctx workflow.Context, quota string) error {
	if r.state.Held == 0 {
		if err := workflow.UpsertTypedSearchAttributes(ctx, RunStatus.ValueSet(string(runs.Waiting))); err != nil {
			return err
		}
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**Step %d**: waiting for the quota `%s`", r.state.Step, quota))
	pause := longestQuotaPause
	if r.state.Held < 3 {
		pause = firstQuotaPause << r.state.Held
	}
	r.state.Held++
	r.state.Step-- // it was not taken
	began := workflow.Now(ctx)
	if err := workflow.Sleep(ctx, pause); err != nil {
		return err
	}
	r.state.Deadline = r.state.Deadline.Add(workflow.Now(ctx).Sub(began))
	return nil
}
