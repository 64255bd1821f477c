package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/control"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
	"github.com/larirun/lari/workflows"
)

const (
	daemonPath   = "/v1/control/daemon"
	platformPath = "/v1/control/platform"
)

func daemonOf(t testing.TB, x *harness.Tenant) (d control.Daemon) {
	t.Helper()
	x.Do(t, "GET", daemonPath, nil).Want(t, 200, &d)
	return d
}

// tell asks for a change and gives the view that answers it.
func tell(t testing.TB, x *harness.Tenant, path string, body any) (d control.Daemon) {
	t.Helper()
	x.Do(t, "POST", path, body).Want(t, 200, &d)
	return d
}

// operator speaks for the platform, in the tenant.
func operator(t testing.TB, x *harness.Tenant) *harness.Tenant {
	t.Helper()
	o := *x
	o.Token = harness.Token(t, x.ID, auth.RoleService)
	return &o
}

func withRole(t testing.TB, x *harness.Tenant, role auth.Role) *harness.Tenant {
	t.Helper()
	as := *x
	as.Token = harness.Token(t, x.ID, role)
	return &as
}

func queueOf(d control.Daemon, name string) control.QueueView {
	for _, q := range d.TaskQueues {
		if q.Name == name {
			return q
		}
	}
	return control.QueueView{Unavailable: "not listed"}
}

// What waits is counted while no worker is there; then the worker is seen, with its version and its queues.
func TestTheDaemonIsSeen(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg := s.Config
	cfg.Reconcile.Every = time.Minute
	p := s.Start(t, app.Options{API: true})
	x, o := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	for range 3 {
		x.StartRun(t, `{"input": "hello"}`)
	}
	var d control.Daemon
	harness.Eventually(t, within, "three tasks wait", func() bool {
		d = daemonOf(t, x)
		return queueOf(d, workflows.RunQueue).Backlog == 3
	})
	if len(d.Workers.Builds) != 0 || d.Workers.Unavailable != "" || d.Runs != (control.Counts{Queued: 3}) || d.State != control.Running || d.NewRuns != control.Start {
		t.Errorf("without a worker: %+v", d)
	}
	if d.Reconciler.Unavailable == "" || !d.Engine.Reachable || d.Engine.Version == "" {
		t.Errorf("%+v, %+v", d.Reconciler, d.Engine)
	}
	harness.Eventually(t, within, "their wait is told", func() bool {
		return queueOf(daemonOf(t, x), workflows.RunQueue).OldestWaitSeconds > 0
	})
	if other := daemonOf(t, o); other.Runs != (control.Counts{}) {
		t.Errorf("another tenant has %+v", other.Runs)
	}

	s.StartWith(t, cfg, app.Options{Worker: true})
	harness.Eventually(t, within, "the worker is seen, and the reconciler's pass", func() bool {
		d = daemonOf(t, x)
		return len(d.Workers.Builds) == 1 && len(d.Workers.Builds[0].TaskQueues) == 4 && d.Reconciler.Outcome == "completed"
	})
	b := d.Workers.Builds[0]
	if b.BuildID != app.Version() || b.Workers != 1 || time.Since(b.LastSeen.Time) > time.Minute || b.Processes != nil {
		t.Errorf("the build is %+v", b)
	}
	if r := d.Reconciler; r.LastBegan == nil || r.LastEnded == nil || r.Next == nil || r.Paused || r.Unavailable != "" {
		t.Errorf("the reconciler: %+v", r)
	}
	harness.Eventually(t, within, "nothing waits", func() bool {
		d = daemonOf(t, operator(t, x))
		return queueOf(d, workflows.RunQueue).Backlog == 0 && d.Runs == control.Counts{}
	})
	if ps := d.Workers.Builds[0].Processes; len(ps) != 1 || !strings.HasSuffix(ps[0].Identity, "@"+app.Version()) {
		t.Errorf("an operator is shown %+v", ps)
	}
}

func TestPausedSchedulesAreCounted(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	x, other := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	for i, paused := range []bool{true, true, false} {
		_, err := s.Temporal.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
			ID: uuid.NewString(), Paused: paused, Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: time.Duration(i+1) * time.Hour}}},
			Action:                &client.ScheduleWorkflowAction{ID: uuid.NewString(), Workflow: "none", TaskQueue: "none"},
			TypedSearchAttributes: temporal.NewSearchAttributes(workflows.TenantID.ValueSet(x.ID.String())),
		})
		must(t, err)
	}
	harness.Eventually(t, within, "two schedules are counted", func() bool { return daemonOf(t, x).Schedules == control.SchedulesView{Paused: 2} })
	if d := daemonOf(t, other); d.Schedules != (control.SchedulesView{}) {
		t.Errorf("another tenant has %+v", d.Schedules)
	}
}

// Runs are refused or held as the pause says, and held ones begin with the resume.
func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x, other := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	d := tell(t, x, daemonPath+"/pause", `{"reason": "the move"}`)
	if d.State != control.Paused || d.NewRuns != control.Refuse || d.Reason != "the move" || d.ChangedBy != actor || d.Scope != control.ScopeTenant {
		t.Errorf("paused: %+v", d.Standing)
	}
	if problem := x.Do(t, "POST", "/v1/runs", `{"input": "hello"}`).WantProblem(t, 503, "paused"); !strings.Contains(problem.Detail, "the move") {
		t.Errorf("refused with %q", problem.Detail)
	}
	d = tell(t, x, daemonPath+"/pause", `{"reason": "the move", "new_runs": "hold"}`)
	if d.NewRuns != control.Hold {
		t.Errorf("holding: %+v", d.Standing)
	}
	held := x.StartRun(t, `{"input": "hello"}`)
	if d = daemonOf(t, x); d.Runs != (control.Counts{Held: 1}) {
		t.Errorf("counted %+v", d.Runs)
	}
	if r := reasonOf(t, x, held.ID, runs.WhyHeldPause); r.Data == nil || r.Data.By != actor || r.Data.Reason != "the move" || r.Since == nil {
		t.Errorf("explained with %+v", r)
	}
	if events := other.OpenRun(t, `{"input": "hello"}`).Rest(t); last(events).Type != event.RunCompleted {
		t.Errorf("another tenant's run ended with %s", last(events).Data)
	}
	follower := x.Follow(t, held.ID, 0)
	d = tell(t, x, daemonPath+"/resume", `{"reason": "moved"}`)
	if d.State != control.Running || d.Reason != "moved" {
		t.Errorf("resumed: %+v", d.Standing)
	}
	if events := follower.Rest(t); last(events).Type != event.RunCompleted {
		t.Errorf("the held run ended with %s", last(events).Data)
	}
	again := tell(t, x, daemonPath+"/resume", `{}`)
	if *again.ChangedAt != *d.ChangedAt {
		t.Errorf("a second resume changed %+v", again.Standing)
	}
	for body, rule := range map[string]string{`{"new_runs": "start"}`: "oneof", `{"reason": "` + strings.Repeat("x", 501) + `"}`: "max"} {
		if problem := x.Do(t, "POST", daemonPath+"/pause", body).WantProblem(t, 422, "validation_failed"); problem.Errors[0].Rule != rule {
			t.Errorf("%s: %+v", body, problem)
		}
	}
	var trail struct {
		Items []struct {
			Action string `json:"action"`
		} `json:"items"`
	}
	x.Do(t, "GET", "/v1/audit-logs?limit=100", nil).Want(t, 200, &trail)
	seen := map[string]bool{}
	for _, row := range trail.Items {
		seen[row.Action] = true
	}
	for _, action := range []string{"pauseDaemon", "resumeDaemon"} {
		if !seen[action] {
			t.Errorf("%s is not in the trail: %v", action, seen)
		}
	}
}

// What has begun finishes; then nothing is left.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: fakellm.Reply{Text: "one two three", Gated: true}})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello"}`)
	follower := x.Follow(t, r.ID, 0)
	follower.Until(t, event.RunStarted)
	if d := tell(t, x, daemonPath+"/drain", `{"reason": "moving"}`); d.State != control.Draining || d.Runs.Active != 1 || d.NewRuns != control.Refuse {
		t.Errorf("draining: %+v, %+v", d.Standing, d.Runs)
	}
	x.Do(t, "POST", "/v1/runs", `{"input": "hello"}`).WantProblem(t, 503, "paused")
	s.Model.Release(100)
	if events := follower.Rest(t); last(events).Type != event.RunCompleted {
		t.Errorf("the run ended with %s", last(events).Data)
	}
	if d := daemonOf(t, x); d.State != control.Drained || d.Runs != (control.Counts{}) {
		t.Errorf("drained: %+v, %+v", d.Standing, d.Runs)
	}
	tell(t, x, daemonPath+"/resume", `{}`)
	if events := x.OpenRun(t, `{"input": "hello"}`).Rest(t); last(events).Type != event.RunCompleted {
		t.Errorf("the run after that ended with %s", last(events).Data)
	}
}

// The whole platform is its operators' alone. Its tenants see that it is paused, and why.
func TestThePlatformIsPaused(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	o := operator(t, x)
	header := []string{auth.TenantHeader, x.ID.String()}
	for _, call := range []string{"GET ", "POST /pause", "POST /resume", "POST /drain"} {
		method, rest, _ := strings.Cut(call, " ")
		var body any
		if method == "POST" {
			body = `{}`
		}
		for _, role := range []auth.Role{auth.RoleViewer, auth.RoleOperator, auth.RoleAdmin, auth.RoleOwner} {
			withRole(t, x, role).Do(t, method, platformPath+rest, body).WantProblem(t, 403, "forbidden")
		}
	}
	for _, role := range []auth.Role{auth.RoleViewer, auth.RoleOperator} {
		withRole(t, x, role).Do(t, "GET", daemonPath, nil).WantProblem(t, 403, "forbidden")
		withRole(t, x, role).Do(t, "POST", daemonPath+"/pause", `{}`).WantProblem(t, 403, "forbidden")
	}
	var v control.Platform
	o.Do(t, "POST", platformPath+"/pause", `{"reason": "an upgrade", "new_runs": "hold"}`, header...).Want(t, 200, &v)
	if v.State != control.Paused || v.Scope != control.ScopePlatform || v.NewRuns != control.Hold {
		t.Errorf("paused: %+v", v.Standing)
	}
	d := tell(t, x, daemonPath+"/resume", `{}`) // which is not the tenant's to end
	if d.State != control.Paused || d.Scope != control.ScopePlatform || d.Reason != "an upgrade" || d.ChangedBy != "platform" {
		t.Errorf("the tenant sees %+v", d.Standing)
	}
	held := x.StartRun(t, `{"input": "hello"}`)
	if r := reasonOf(t, x, held.ID, runs.WhyHeldPause); r.Data == nil || r.Data.Scope != "platform" || r.Data.By != "platform" {
		t.Errorf("explained with %+v", r)
	}
	follower := x.Follow(t, held.ID, 0)
	o.Do(t, "POST", platformPath+"/resume", `{}`, header...).Want(t, 200, &v)
	if v.State != control.Running || v.Runs.Held > 1 {
		t.Errorf("resumed: %+v", v)
	}
	if events := follower.Rest(t); last(events).Type != event.RunCompleted {
		t.Errorf("the held run ended with %s", last(events).Data)
	}
	o.Do(t, "POST", platformPath+"/drain", `{}`, header...).Want(t, 200, &v)
	if v.State != control.Draining && v.State != control.Drained {
		t.Errorf("drained: %+v", v.Standing)
	}
	x.Do(t, "POST", "/v1/runs", `{"input": "hello"}`).WantProblem(t, 503, "paused")
	harness.Eventually(t, within, "its worker is seen", func() bool { // what was seen of Temporal as the process began is remembered a moment
		o.Do(t, "GET", platformPath, nil, header...).Want(t, 200, &v)
		return len(v.Workers.Builds) == 1 && len(v.Workers.Builds[0].Processes) == 1
	})
	if v.TenantsPaused != 0 {
		t.Errorf("%+v", v)
	}
}

// Temporal is cut off, then silent: the view says so in time, and what it does not need Temporal for works.
func TestTheDaemonIsSeenWithoutTemporal(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg, _, proxy := s.Behind(t)
	p := s.StartWith(t, cfg, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	id := x.StartRun(t, `{"input": "hello"}`).ID
	for name, breaks := range map[string]func(){"cut": proxy.Cut, "stalled": proxy.Stall} {
		breaks()
		harness.Eventually(t, within, "the view says that Temporal is "+name, func() bool { return !daemonOf(t, x).Engine.Reachable })
		began := pace.Start(t)
		d := tell(t, x, daemonPath+"/pause", map[string]string{"reason": name})
		if took := began.Took(); took > 5*time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
		if d.State != control.Paused || d.Reason != name || d.Runs.Queued != 1 || d.Engine.Unavailable == "" || d.Workers.Unavailable == "" ||
			queueOf(d, workflows.RunQueue).Unavailable == "" || d.Schedules.Unavailable == "" || d.Reconciler.Unavailable == "" {
			t.Errorf("%s: %+v", name, d)
		}
		began = pace.Start(t)
		if r := reasonOf(t, x, id, runs.WhyEngineAway); r.Detail == "" {
			t.Errorf("%s: %+v", name, r)
		}
		if took := began.Took(); took > 5*time.Second {
			t.Errorf("%s: to explain took %s", name, took)
		}
		proxy.Heal(t)
		harness.Eventually(t, within, "Temporal is there again", func() bool { return daemonOf(t, x).Engine.Reachable })
	}
}
