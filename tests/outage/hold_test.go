package outage

import (
	"context"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/harness"
)

// A delay that ends while Temporal is away costs the run a pause: it is let go and started when Temporal is back.
func TestADelayEndsWhileTemporalIsAway(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg, _, temporal := s.Behind(t)
	p := s.StartWith(t, cfg, harness.All, soon)
	x := p.NewTenant(t, agents.Config{})
	wantReadiness(t, x, 200, "")
	temporal.Cut()
	id := x.StartRun(t, `{"input": "hello", "after_seconds": 1}`).ID
	harness.Eventually(t, 30*time.Second, "it is let go", func() bool {
		var free bool
		err := s.Database.Conn(t).QueryRow(t.Context(), `select held_by is null from agent_runs where id = $1`, id).Scan(&free)
		return err == nil && free
	})
	if r := x.FindRun(t, id); r.Status != "queued" {
		t.Fatalf("the run is %s", r.Status)
	}
	temporal.Heal(t)
	harness.WantWhole(t, x.Follow(t, id, 0).Rest(t))
	if r := x.FindRun(t, id); r.Status != "completed" {
		t.Errorf("the run is %s", r.Status)
	}
}

// deaf is an engine that hears of no start.
type deaf struct{ runs.Engine }

func (deaf) StartRun(context.Context, runs.Run) error {
	return fault.New(fault.Unavailable, "nobody is there")
}

// A process lets a run go and the engine hears nothing of it: another process starts it.
func TestLetGoAndNotStarted(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	id := x.StartRun(t, `{"input": "hello", "after_seconds": 3600}`).ID
	if _, err := s.Database.Conn(t).Exec(t.Context(), `update agent_runs set due_at = now() where id = $1`, id); err != nil {
		t.Fatal(err)
	}
	if err := service(p, deaf{p.App.Runs.Engine}, time.Hour).Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := x.FindRun(t, id); r.FinishedAt == nil && r.Status != "queued" {
		t.Logf("the process's own dispatcher came first: the run is %s", r.Status)
	}
	harness.WantWhole(t, x.Follow(t, id, 0).Rest(t))
	if r := x.FindRun(t, id); r.Status != "completed" {
		t.Errorf("the run is %s", r.Status)
	}
}
