package runs_test

import (
	"testing"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
)

// A workflow that was reset takes its steps from the first again: what is on record is found, each by its
// own number, and the log does not tell it twice.
func TestStepsAreFoundAgainAfterAReset(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, tenant := r.db.Tenant(t, "a")
	run := emptyRuns(t, r.db, tenant, 1)[0]
	for step := 1; step <= 2; step++ {
		if _, err := r.BeginStep(ctx, run, step, 1, false); err != nil {
			t.Fatal(err)
		}
		if _, err := r.RecordStep(ctx, answer(run, step, toolCall(run, step))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.BeginStep(ctx, run, 3, 1, false); err != nil {
		t.Fatal(err)
	}
	half, err := r.Log.Add(ctx, run, event.Draft{Type: event.MessageDelta, Data: event.Delta{MessageID: runs.MessageID(run, 3), Step: 3, Attempt: 4, Text: "half"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := half.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	before := len(r.events(ctx, t, run))
	for step := 1; step <= 2; step++ {
		turn, err := r.BeginStep(ctx, run, step, 1, true)
		if err != nil || turn.Recorded == nil || turn.Recorded.ToolCalls[0].Step != step {
			t.Errorf("step %d begins again with %+v, %v", step, turn.Recorded, err)
		}
	}
	turn, err := r.BeginStep(ctx, run, 3, 1, true)
	if err != nil || turn.Recorded != nil || turn.Attempt != 5 {
		t.Errorf("the step that was under way begins again as attempt %d with %+v, %v", turn.Attempt, turn.Recorded, err)
	}
	events := r.events(ctx, t, run)
	if len(events) != before+1 || events[before].Type != event.AttemptRestarted {
		t.Errorf("the log went on with %d events", len(events)-before)
	}
}
