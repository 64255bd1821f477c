package outage

import (
	"context"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
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

// TestHeldRun_IsNotItsPredecessors: Temporal has a workflow under the id of a run that is held, as an earlier version left
// one when it took a run back whose start had no answer. That workflow neither begins the run nor ends it.
func TestHeldRun_IsNotItsPredecessors(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	x.Do(t, "POST", "/v1/control/daemon/pause", `{"new_runs": "hold"}`).Want(t, 200)
	var r struct {
		harness.Run
		Held *struct{ By string } `json:"held"`
	}
	x.Do(t, "POST", "/v1/runs", `{"input": "hello"}`).Want(t, 202, &r)
	if r.Held == nil || r.Held.By != "pause" {
		t.Fatalf("the run is not held: %+v", r)
	}
	held, err := p.App.Runs.Find(x.Context(t.Context()), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.App.Runs.Engine.StartRun(x.Context(t.Context()), held); err != nil {
		t.Fatal(err)
	}
	s.Start(t, app.Options{Worker: true}) // meets the workflow of the first try
	harness.Eventually(t, 30*time.Second, "the workflow of the first try has ended", func() bool {
		d, err := s.Temporal.DescribeWorkflowExecution(t.Context(), x.ID.String()+"/run/"+r.ID.String(), "")
		return err == nil && d.GetWorkflowExecutionInfo().GetCloseTime().IsValid()
	})
	harness.Eventually(t, 30*time.Second, "a pass has seen it in Temporal's list", func() bool {
		now := time.Now()
		closed, _, err := p.App.Runs.Engine.FindClosed(t.Context(), runs.Window{From: now.Add(-time.Hour), Until: now}, 10)
		if err != nil || len(closed) == 0 {
			return false
		}
		_, err = p.App.Runs.Reconcile(t.Context(), runs.Pass{}.Next(now))
		return err == nil
	})
	if err := p.App.Runs.Settle(x.Context(t.Context()), r.ID); err != nil { // as a callback of that workflow would
		t.Fatal(err)
	}
	if got := x.FindRun(t, r.ID); got.Status != "queued" {
		t.Fatalf("the held run is %s: %+v", got.Status, got.Error)
	}
	x.Do(t, "POST", "/v1/control/daemon/resume", `{}`).Want(t, 200)
	events := x.Follow(t, r.ID, 0).Rest(t)
	harness.WantWhole(t, events)
	if events[len(events)-1].Type != event.RunCompleted {
		t.Errorf("the run ended with %v", harness.Types(events))
	}
}
