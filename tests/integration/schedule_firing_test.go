package integration

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
	domain "github.com/larirun/lari/internal/schedules"
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
		harness.Eventually(t, 2*within, "the firing is "+result, func() bool {
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
		e := wantLast(t, x, made.ID, "fired", "")
		if e.RunID == nil {
			t.Fatalf("after the pause it is %+v", e)
		}
		wantIDOfCreation(t, x, *e.RunID)
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

// A firing that is brought twice at once, and whose workflow dies before it starts the run, has one run, which the
// dispatcher starts.
func TestAFiringThatIsBroughtAgain(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.StartWith(t, s.Config, harness.All, func(a *app.App) { a.Runs.DispatchIn = 10 * time.Millisecond })
	x := p.NewTenant(t, agents.Config{})
	made := createSchedule(t, x, yearly)
	firing := domain.Firing{ScheduleID: made.ID, Nominal: time.Now().Truncate(time.Second), Execution: "the first"}
	var group sync.WaitGroup
	found := make([]domain.Fired, 8)
	for i := range found {
		group.Go(func() {
			var err error
			if found[i], err = p.App.Schedules.Fire(x.Context(t.Context()), firing); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, f := range found {
		if f.RunID == nil || *f.RunID != *found[0].RunID {
			t.Fatalf("one firing became %+v", found)
		}
	}
	harness.Eventually(t, within, "the dispatcher starts it", func() bool { return x.FindRun(t, *found[0].RunID).Status == "completed" })
	if all := runsOf(t, x, made.ID); len(all) != 1 {
		t.Errorf("%d runs", len(all))
	}
	must(t, p.App.Schedules.CancelFiring(x.Context(t.Context()), firing, "too late")) // it has ended
	nobody, err := p.App.Schedules.Fire(x.Context(t.Context()), domain.Firing{ScheduleID: uuid.New(), Nominal: time.Now()})
	if err != nil || nobody.Code != fault.NotFound {
		t.Errorf("a firing of no schedule became %+v, %v", nobody, err)
	}
}

func TestSchedulesTakeNoGarbage(t *testing.T) {
	t.Parallel()
	_, _, x := scheduling(t)
	made := createSchedule(t, x, yearly)
	for _, body := range []string{
		`{"name": "a\u0000b"}`, `{"run": {"input": "a\u0000b"}}`, `{"run": {"input": "a", "metadata": {"k": "\u0000"}}}`, `{"run": {"input": "a", "agent": "\u0000"}}`,
		`{"spec": {"cron": ["\u0000"]}}`, `{"spec": {"cron": ["0 9 * * \ud800"]}}`, `{"spec": {"time_zone": "\u0000", "cron": ["@daily"]}}`,
		`{"spec": {"cron": ["@daily"], "start_at": "yesterday"}}`, `{"spec": {"cron": ["@daily"], "end_at": "9999-12-31T23:59:59Z"}}`,
		`{"spec": {"cron": ["@daily"], "end_at": "0001-01-01T00:00:00Z"}}`, `{"spec": {"every": [{"every_seconds": 31536000, "offset_seconds": 31536000}]}}`,
		`{"spec": null}`, `{"spec": []}`, `{"unknown": 1}`, `{"run": {"input": "x", "webhook_url": "http://169.254.169.254/"}}`, `{"name": ""}`, `{`,
	} {
		if a := askSchedule(t, x, "PATCH", schedulePath(made.ID, ""), body); a.Status >= 500 {
			t.Errorf("%s is answered %d: %s", body, a.Status, a.Body)
		}
	}
	for _, route := range []string{"/pause", "/resume"} {
		if a := askSchedule(t, x, "POST", schedulePath(made.ID, route), `{"note": "a\u0000b"}`); a.Status >= 500 {
			t.Errorf("%s is answered %d: %s", route, a.Status, a.Body)
		}
	}
	for _, at := range []string{"9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2099-01-01T00:00:00.5Z"} {
		for route, body := range map[string]string{"/skip": `{"at": %[1]q}`, "/backfill": `{"start": %[1]q, "end": %[1]q}`} {
			if a := askSchedule(t, x, "POST", schedulePath(made.ID, route), fmt.Sprintf(body, at)); a.Status != 422 {
				t.Errorf("%s of %s is answered %d: %s", route, at, a.Status, a.Body)
			}
		}
		for _, query := range []string{"/next?from=" + at, "/firings?to=" + at, "/firings?from=" + at} {
			if a := askSchedule(t, x, "GET", schedulePath(made.ID, query), nil); a.Status >= 500 {
				t.Errorf("%s is answered %d: %s", query, a.Status, a.Body)
			}
		}
	}
	if s := findSchedule(t, x, made.ID); s.State == "missing" {
		t.Errorf("afterwards it is %+v", s)
	}
}
