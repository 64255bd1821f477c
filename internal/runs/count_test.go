package runs_test

import (
	"testing"

	"github.com/larirun/lari/internal/runs"
)

func TestHeldRunsAreCountedByReason(t *testing.T) {
	t.Parallel()
	i := interrogate(t)
	if held, err := i.CountHeld(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("nothing is held, counted %v, error %v", held, err)
	}
	i.hold(t, runs.HoldQuota)
	_, other := i.db.Tenant(t, "b")
	for _, run := range emptyRuns(t, i.db, other, 3)[:2] {
		i.exec(t, `update agent_runs set status = 'queued', started_at = null, held_by = 'pause', held_at = now() where id = $1`, run)
	}
	if held, err := i.CountHeld(t.Context()); err != nil || len(held) != 2 || held[runs.HoldQuota] != 1 || held[runs.HoldPause] != 2 {
		t.Errorf("counted %v, error %v", held, err)
	}
}
