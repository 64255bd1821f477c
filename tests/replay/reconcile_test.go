package replay

import (
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// Two passes of the reconciler, of which the second goes on where the first one stopped. With -record the
// second one's history is stored.
func TestPassesReplay(t *testing.T) {
	t.Parallel()
	if stored(t)["reconciled.1"] == nil && !*record {
		t.Error("there is no history of a pass: run go test ./tests/replay -record")
	}
	s := harness.NewSystem(t)
	cfg := s.Config
	cfg.Reconcile.Every = time.Hour // the test triggers its passes
	s.StartWith(t, cfg, app.Options{Worker: true})
	schedule := s.Temporal.ScheduleClient().GetHandle(t.Context(), workflows.ReconcileScheduleID)
	made := func() (n int, last string) {
		d, err := schedule.Describe(t.Context())
		if err != nil || len(d.Info.RecentActions) == 0 {
			return 0, ""
		}
		return d.Info.NumActions, d.Info.RecentActions[len(d.Info.RecentActions)-1].StartWorkflowResult.WorkflowID
	}
	var passes [2]runs.Pass
	for i := range passes {
		var id string
		harness.Eventually(t, 20*time.Second, "a pass begins", func() bool {
			var n int
			n, id = made()
			return n == i+1
		})
		if err := s.Temporal.GetWorkflow(t.Context(), id, "").Get(t.Context(), &passes[i]); err != nil {
			t.Fatal(err)
		}
		h := chain(t, s.Temporal, id)[0]
		if err := replay(t, plugged(t), workflows.AgentRun, h); err != nil {
			t.Error(err)
		}
		if i == 0 {
			if err := schedule.Trigger(t.Context(), client.ScheduleTriggerOptions{}); err != nil {
				t.Fatal(err)
			}
		} else if *record {
			store(t, "reconciled.1", h)
		}
	}
	if !passes[0].Read || passes[1].Window.From.Before(passes[0].Window.Until.Add(-time.Hour)) || !passes[1].Begun.After(passes[0].Begun) {
		t.Errorf("the second pass did not go on where the first one had stopped: %+v", passes)
	}
	if err := schedule.Delete(t.Context()); err != nil {
		t.Error(err)
	}
}
