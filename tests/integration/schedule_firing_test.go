package integration

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// What stands against a run stands against a firing, and the timeline says so.
func TestFiringsThatAreRefusedOrWait(t *testing.T) {
	t.Parallel()
	s, p, _ := scheduling(t, fakellm.Rule{Contains: "fail", Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: http.StatusBadRequest}}})
	trigger := func(t *testing.T, x *harness.Tenant, id uuid.UUID) {
		askSchedule(t, x, "POST", schedulePath(id, "/trigger"), nil).Want(t, 202)
	}
	wantLast := func(t *testing.T, x *harness.Tenant, id uuid.UUID, result, code string) entry {
		t.Helper()
		var last entry
		harness.Eventually(t, within, "the firing is "+result, func() bool {
			line := firings(t, x, id).Items
			if len(line) == 0 {
				return false
			}
			last = line[len(line)-1]
			return last.Result == result && last.Code == code
		})
		return last
	}
	t.Run("paused", func(t *testing.T) {
		x := p.NewTenant(t, agents.Config{})
		made := createSchedule(t, x, yearly)
		daemon := func(state, runs string) {
			_, err := s.Database.Conn(t).Exec(t.Context(), `insert into daemon_states (tenant_id, state, new_runs, reason, changed_by, changed_at)
				values ($1, $2, $3, 'a move', 'test', now()) on conflict (tenant_id) do update set state = excluded.state, new_runs = excluded.new_runs`, x.ID, state, runs)
			must(t, err)
		}
		daemon("paused", "refuse")
		trigger(t, x, made.ID)
		if e := wantLast(t, x, made.ID, "refused", "paused"); !strings.Contains(e.Detail, "a move") || e.RunID != nil {
			t.Errorf("refused is %+v", e)
		}
		daemon("paused", "hold")
		trigger(t, x, made.ID)
		wantLast(t, x, made.ID, "pending", "paused")
		if n := len(runsOf(t, x, made.ID)); n != 0 {
			t.Errorf("%d runs in the pause", n)
		}
		daemon("running", "refuse")
		if e := wantLast(t, x, made.ID, "fired", ""); e.RunID == nil {
			t.Errorf("after the pause it is %+v", e)
		}
	})
	t.Run("suspended", func(t *testing.T) {
		x := p.NewTenant(t, agents.Config{})
		made := createSchedule(t, x, `%s, "pause_on_failure": true`, yearly)
		_, err := s.Database.Conn(t).Exec(t.Context(), `update tenants set status = 'suspended', status_reason = 'unpaid' where id = $1`, x.ID)
		must(t, err)
		trigger(t, x, made.ID)
		if e := wantLast(t, x, made.ID, "refused", "tenant_suspended"); !strings.Contains(e.Detail, "unpaid") {
			t.Errorf("refused is %+v", e)
		}
		harness.Eventually(t, within, "the schedule is paused", func() bool { return findSchedule(t, x, made.ID).State == "paused" })
	})
	t.Run("a failing run pauses", func(t *testing.T) {
		x := p.NewTenant(t, agents.Config{})
		made := createSchedule(t, x, `"spec": {"every": [{"every_seconds": 2}]}, "pause_on_failure": true, "run": {"input": "fail"}`)
		harness.Eventually(t, within, "the schedule is paused", func() bool { return findSchedule(t, x, made.ID).State == "paused" })
		harness.Eventually(t, within, "the timeline says why it does not fire", func() bool {
			line := firings(t, x, made.ID)
			for _, e := range line.Items {
				if e.Result == "paused" {
					return strings.Contains(e.Detail, "failure")
				}
			}
			return false
		})
		if n := statuses(runsOf(t, x, made.ID)); n["failed"] != 1 || len(n) != 1 {
			t.Errorf("the runs are %v", n)
		}
	})
	t.Run("the thread is busy", func(t *testing.T) {
		x := p.NewTenant(t, agents.Config{})
		thread := uuid.Must(uuid.NewV7())
		_, err := s.Database.DB.Exec(x.Context(t.Context()), `insert into threads (id, tenant_id, created_at, updated_at) values ($1, $2, now(), now())`, thread, x.ID)
		must(t, err)
		made := createSchedule(t, x, `%s, "run": {"input": "go", "thread_id": %q}`, yearly, thread)
		busy, err := p.App.Runs.Accept(x.Context(t.Context()), runs.NewRun{Input: "go", ThreadID: &thread})
		must(t, err)
		trigger(t, x, made.ID)
		wantLast(t, x, made.ID, "refused", "thread_busy")
		cancelRun(t, x, busy.ID)
		trigger(t, x, made.ID)
		wantLast(t, x, made.ID, "fired", "")
	})
}

// A worker dies in the middle of a firing's run; another one ends it. What an operator terminates is closed.
func TestFiringsOutliveTheirWorker(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Contains: "go", Times: 1, Reply: fakellm.Reply{Text: "It never", HangAfter: 1}}, fakellm.Rule{Contains: "story", Reply: endless()})
	front := s.Start(t, app.Options{API: true})
	x := front.NewTenant(t, agents.Config{})
	made := createSchedule(t, x, yearly)
	askSchedule(t, x, "POST", schedulePath(made.ID, "/trigger"), nil).Want(t, 202)
	harness.Eventually(t, within, "the timeline says that no worker is there", func() bool {
		line := firings(t, x, made.ID).Items
		return len(line) == 0 // a trigger is none of the spec's times: it is seen once a worker has taken it on
	})
	back := s.Start(t, app.Options{Worker: true})
	r := going(t, x, made.ID, 1)[0]
	must(t, ignoreCancelled(back.Stop()))
	s.Start(t, app.Options{Worker: true})
	harness.Eventually(t, 2*within, "another worker ends the run", func() bool { return x.FindRun(t, r.ID).Status == "completed" })
	if n := len(runsOf(t, x, made.ID)); n != 1 {
		t.Errorf("%d runs of one firing", n)
	}

	told := createSchedule(t, x, `%s, "run": {"input": "a story"}`, yearly)
	askSchedule(t, x, "POST", schedulePath(told.ID, "/trigger"), nil).Want(t, 202)
	r = going(t, x, told.ID, 1)[0]
	at := firings(t, x, told.ID).Items[0].At
	must(t, s.Temporal.TerminateWorkflow(t.Context(), workflows.ScheduleID(x.ID, told.ID)+"-"+at.Format(time.RFC3339), "", "enough"))
	harness.Eventually(t, within, "the run has ended", func() bool {
		pass(t, front)
		return x.FindRun(t, r.ID).Status == string(runs.Failed)
	})
	wantEnd(t, s, x, r.ID, runs.Failed, event.ErrorTerminated)
}

func ignoreCancelled(err error) error {
	if err != nil && strings.Contains(err.Error(), context.Canceled.Error()) {
		return nil
	}
	return err
}
