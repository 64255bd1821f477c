package replay

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/serviceerror"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// Each way in which a firing goes, and its run with it. With -record their histories are stored.
func TestFiringsReplay(t *testing.T) {
	t.Parallel()
	all := stored(t)
	for _, name := range []string{"fired.1", "fired_refused.1", "fired_failed.1", "fired_cancelled.1"} {
		if all[name] == nil && !*record {
			t.Errorf("there is no history of %s: run go test ./tests/replay -record", name)
		}
	}
	s := harness.NewSystem(t,
		fakellm.Rule{Contains: "hang", Reply: fakellm.Reply{Text: "It never", HangAfter: 1}},
		fakellm.Rule{Contains: "fail", Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 400}}})
	p := s.Start(t, harness.All)
	for name, c := range map[string]struct {
		body string
		play func(t *testing.T, x *harness.Tenant, firing string)
	}{
		"fired":         {body: `"run": {"input": "go"}`},
		"fired_refused": {body: `"run": {"input": "go"}`},
		"fired_failed":  {body: `"run": {"input": "fail"}, "pause_on_failure": true`},
		"fired_cancelled": {body: `"run": {"input": "hang"}`, play: func(t *testing.T, x *harness.Tenant, firing string) {
			t.Helper()
			harness.Eventually(t, 30*time.Second, "the run goes on", func() bool {
				var list struct{ Items []harness.Run }
				x.Do(t, "GET", "/v1/runs?status=running", nil).Want(t, 200, &list)
				return len(list.Items) == 1
			})
			if err := s.Temporal.CancelWorkflow(t.Context(), firing, ""); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := p.NewTenant(t, agents.Config{})
			var made struct{ ID uuid.UUID }
			key := uuid.NewString()
			harness.Eventually(t, time.Minute, "the schedule is made", func() bool {
				a := x.Do(t, "POST", "/v1/schedules", `{"name": "x", "spec": {"cron": ["@yearly"]}, `+c.body+`}`, "Idempotency-Key", key)
				if a.Status == 503 { // Temporal's own worker begins
					return false
				}
				a.Want(t, 201, &made)
				return true
			})
			if name == "fired_refused" {
				if _, err := s.Database.Conn(t).Exec(t.Context(), `update tenants set status = 'suspended' where id = $1`, x.ID); err != nil {
					t.Fatal(err)
				}
			}
			var triggered struct{ At time.Time }
			x.Do(t, "POST", "/v1/schedules/"+made.ID.String()+"/trigger", nil).Want(t, 202, &triggered)
			firing := workflows.ScheduleID(x.ID, made.ID) + "-" + triggered.At.UTC().Format(time.RFC3339)
			harness.Eventually(t, 30*time.Second, "the firing has begun", func() bool {
				_, err := s.Temporal.DescribeWorkflowExecution(t.Context(), firing, "")
				var missing *serviceerror.NotFound
				return !errors.As(err, &missing)
			})
			if c.play != nil {
				c.play(t, x, firing)
			}
			_ = s.Temporal.GetWorkflow(t.Context(), firing, "").Get(t.Context(), nil) // how it ended is the case's
			h := chain(t, s.Temporal, firing)[0]
			if err := replay(t, plugged(t), workflows.AgentRun, h); err != nil {
				t.Error(err)
			}
			for _, e := range h.GetEvents() {
				if failed := e.GetWorkflowTaskFailedEventAttributes(); failed != nil {
					t.Errorf("a workflow task failed: %s", failed.GetFailure().GetMessage())
				}
			}
			if *record {
				store(t, name+".1", h)
			}
		})
	}
}
