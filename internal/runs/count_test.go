package runs_test

import (
	"testing"
	"time"

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

// What waits to begin counts from the moment it could: not what is held, and not what has begun.
func TestTheQueueIsOfEveryTenant(t *testing.T) {
	t.Parallel()
	i := interrogate(t)
	_, other := i.db.Tenant(t, "b")
	all := emptyRuns(t, i.db, other, 5)
	i.exec(t, `update agent_runs set status = 'running', started_at = now()`)
	if q, err := i.FindQueue(t.Context()); err != nil || q != (runs.Queue{}) {
		t.Errorf("nothing waits, found %+v, error %v", q, err)
	}
	const waits = `update agent_runs set status = 'queued', started_at = null, created_at = now() - interval '1 day', `
	i.exec(t, waits+`dispatched_at = now() - interval '1 minute' where id = $1`, all[0])
	i.exec(t, waits+`dispatched_at = null, due_at = now() - interval '3 minutes' where id = $1`, all[1])
	i.exec(t, waits+`dispatched_at = null, held_by = 'pause', held_at = now() where id = $1`, all[2])
	if q, err := i.FindQueue(t.Context()); err != nil || q.Runs != 2 || q.Oldest < 3*time.Minute || q.Oldest > 4*time.Minute {
		t.Errorf("found %+v, error %v", q, err)
	}
	i.exec(t, waits+`dispatched_at = null where id = $1`, all[3])
	if q, err := i.FindQueue(t.Context()); err != nil || q.Runs != 3 || q.Oldest < 24*time.Hour {
		t.Errorf("found %+v, error %v", q, err)
	}
}
