package control_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/control"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/tests/pace"
)

// The stricter of the two settings holds, as lari.admit_run weighs them.
func TestTheStricterStateHolds(t *testing.T) {
	t.Parallel()
	type setting struct {
		state   control.State
		newRuns control.NewRuns
	}
	running, held, refused, draining := setting{control.Running, ""}, setting{control.Paused, control.Hold}, setting{control.Paused, control.Refuse}, setting{control.Draining, ""}
	w := newWorld(t)
	w.counts = control.Counts{Active: 1}
	set := func(ctx context.Context, s setting, pause func(context.Context, control.Change) error, drain, resume func(context.Context, string) error) {
		t.Helper()
		switch s.state {
		case control.Paused:
			must(t, pause(ctx, control.Change{Reason: "why", NewRuns: s.newRuns}))
		case control.Draining:
			must(t, drain(ctx, "why"))
		default:
			must(t, resume(ctx, "why"))
		}
	}
	ctx, tenant := w.database.Tenant(t, "a")
	conn := w.database.Conn(t)
	for _, c := range []struct {
		own, platform setting
		state         control.State
		scope         control.Scope
		newRuns       control.NewRuns
	}{
		{running, running, control.Running, control.ScopeTenant, control.Start},
		{held, running, control.Paused, control.ScopeTenant, control.Hold},
		{running, held, control.Paused, control.ScopePlatform, control.Hold},
		{held, held, control.Paused, control.ScopePlatform, control.Hold},
		{refused, held, control.Paused, control.ScopeTenant, control.Refuse},
		{held, refused, control.Paused, control.ScopePlatform, control.Refuse},
		{draining, refused, control.Draining, control.ScopeTenant, control.Refuse},
		{refused, draining, control.Draining, control.ScopePlatform, control.Refuse},
		{draining, draining, control.Draining, control.ScopePlatform, control.Refuse},
		{draining, held, control.Draining, control.ScopeTenant, control.Refuse},
		{running, running, control.Running, control.ScopeTenant, control.Start},
	} {
		set(ctx, c.own, w.Pause, w.Drain, w.Resume)
		set(ctx, c.platform, w.PausePlatform, w.DrainPlatform, w.ResumePlatform)
		d := w.daemon(ctx, t)
		if d.State != c.state || d.Scope != c.scope || d.NewRuns != c.newRuns {
			t.Errorf("tenant %v, platform %v: %+v", c.own, c.platform, d.Standing)
		}
		var verdict struct {
			Hold    string
			Refused *struct{ By string }
		}
		var said []byte
		must(t, conn.QueryRow(t.Context(), `select lari.admit_run($1, null, false)`, tenant).Scan(&said))
		must(t, json.Unmarshal(said, &verdict))
		got := control.Start
		switch {
		case verdict.Refused != nil:
			got = control.Refuse
		case verdict.Hold != "":
			got = control.Hold
		}
		if got != d.NewRuns {
			t.Errorf("tenant %v, platform %v: the view says %s, a run is met with %s", c.own, c.platform, d.NewRuns, said)
		}
	}
}

func TestDrainedIsDrainingWithNothingLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, _ := w.database.Tenant(t, "a")
	w.counts = control.Counts{Active: 1, Held: 3}
	must(t, w.Drain(ctx, "the move"))
	if d := w.daemon(ctx, t); d.State != control.Draining || d.Runs != w.counts || d.Reason != "the move" || d.ChangedBy != "test" {
		t.Errorf("%+v", d.Standing)
	}
	w.counts = control.Counts{Queued: 1}
	if d := w.daemon(ctx, t); d.State != control.Draining {
		t.Errorf("a run is about to begin and the tenant is %s", d.State)
	}
	w.counts = control.Counts{Held: 3}
	if d := w.daemon(ctx, t); d.State != control.Drained || d.NewRuns != control.Refuse {
		t.Errorf("%+v", d.Standing)
	}
}

// The same said twice is said once; another reason is another pause.
func TestChangesAreIdempotent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, _ := w.database.Tenant(t, "a")
	if d := w.daemon(ctx, t); d.State != control.Running || d.ChangedAt != nil || d.ChangedBy != "" || d.TenantStatus != "active" {
		t.Errorf("at first: %+v", d.Standing)
	}
	must(t, w.Resume(ctx, "for nothing"))
	if d := w.daemon(ctx, t); d.ChangedAt != nil {
		t.Errorf("a resume of what runs changed %+v", d.Standing)
	}
	pause := control.Change{Reason: "lunch", NewRuns: control.Hold}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := w.Pause(ctx, pause); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	first := w.daemon(ctx, t)
	other := scope.With(ctx, scope.Scope{Tenant: scope.Tenant(ctx), Actor: "somebody else"})
	must(t, w.Pause(other, pause))
	if again := w.daemon(ctx, t); again.ChangedBy != "test" || *again.ChangedAt != *first.ChangedAt {
		t.Errorf("first %+v, again %+v", first.Standing, again.Standing)
	}
	must(t, w.Pause(other, control.Change{Reason: "a long lunch"}))
	if d := w.daemon(ctx, t); d.ChangedBy != "somebody else" || d.Reason != "a long lunch" || d.NewRuns != control.Refuse {
		t.Errorf("another pause: %+v", d.Standing)
	}
	must(t, w.Resume(ctx, "fed"))
	if d := w.daemon(ctx, t); d.State != control.Running || d.NewRuns != control.Start || d.Reason != "fed" || d.ChangedBy != "test" {
		t.Errorf("resumed: %+v", d.Standing)
	}
}

// Held runs are to begin after every resume, and after nothing else.
func TestAResumeReleases(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, _ := w.database.Tenant(t, "a")
	must(t, w.Pause(ctx, control.Change{NewRuns: control.Hold}))
	must(t, w.PausePlatform(ctx, control.Change{NewRuns: control.Hold}))
	if len(w.released) != 0 {
		t.Errorf("released %v", w.released)
	}
	must(t, w.Resume(ctx, ""))
	must(t, w.ResumePlatform(ctx, ""))
	must(t, w.Resume(ctx, "")) // the process that resumed first may have died before it released
	if want := []control.Scope{control.ScopeTenant, control.ScopePlatform, control.ScopeTenant}; !slices.Equal(w.released, want) {
		t.Errorf("released %v, want %v", w.released, want)
	}
}

func TestTenantsDoNotPauseEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, _ := w.database.Tenant(t, "a")
	b, _ := w.database.Tenant(t, "b")
	must(t, w.Pause(a, control.Change{Reason: "a's"}))
	must(t, w.Resume(b, "b's"))
	if d := w.daemon(a, t); d.State != control.Paused {
		t.Errorf("a is %s", d.State)
	}
	if d := w.daemon(b, t); d.State != control.Running || d.Reason != "" {
		t.Errorf("b: %+v", d.Standing)
	}
	p, err := w.Platform(a)
	must(t, err)
	if p.State != control.Running || p.TenantsPaused != 1 || p.TenantStatus != "" {
		t.Errorf("the platform: %+v", p)
	}
	nobody := scope.With(t.Context(), scope.Scope{Tenant: uuid.New(), Actor: "test"})
	for what, err := range map[string]error{"pause": w.Pause(nobody, control.Change{}), "drain": w.Drain(nobody, "")} {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("%s of no tenant: %v", what, err)
		}
	}
	if _, err := w.Daemon(nobody, false); !fault.Is(err, fault.NotFound) {
		t.Errorf("the view of no tenant: %v", err)
	}
}

// A tenant hears that the platform is paused and why, not which of its operators did it.
func TestOperatorsAreNotNamedToTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, _ := w.database.Tenant(t, "a")
	must(t, w.PausePlatform(scope.With(ctx, scope.Scope{Actor: "ada@operators"}), control.Change{Reason: "an upgrade"}))
	if d := w.daemon(ctx, t); d.ChangedBy != "platform" || d.Reason != "an upgrade" || d.Scope != control.ScopePlatform {
		t.Errorf("%+v", d.Standing)
	}
	p, err := w.Platform(ctx)
	must(t, err)
	if p.ChangedBy != "ada@operators" {
		t.Errorf("%+v", p.Standing)
	}
}

func TestASuspendedTenantBeginsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, tenant := w.database.Tenant(t, "a")
	_, err := w.database.Conn(t).Exec(t.Context(), `update tenants set status = 'suspended' where id = $1`, tenant)
	must(t, err)
	if d := w.daemon(ctx, t); d.State != control.Running || d.NewRuns != control.Refuse || d.TenantStatus != "suspended" {
		t.Errorf("%+v", d.Standing)
	}
}

func TestWorkersByBuild(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, tenant := w.database.Tenant(t, "a")
	w.queues["runs"] = control.Queue{
		Workflows:  control.Backlog{Tasks: 2, OldestWait: 1500 * time.Millisecond, AddRate: 1, DispatchRate: .5},
		Activities: control.Backlog{Tasks: 3, OldestWait: 700 * time.Millisecond, AddRate: 2},
		Pollers:    []control.Poller{poller("h1/1@2", "2", 0), poller("h1/1@2", "2", time.Second), poller("h2/1@2", "2", 3*time.Second), poller("h3/1@1", "1", 2*time.Minute)},
	}
	w.queues["connectors"] = control.Queue{Pollers: []control.Poller{poller("h1/1@2", "2", time.Second)}}
	d := w.daemon(ctx, t)
	if len(d.Workers.Builds) != 2 || d.Workers.Unavailable != "" {
		t.Fatalf("%+v", d.Workers)
	}
	first, second := d.Workers.Builds[0], d.Workers.Builds[1]
	if first.BuildID != "2" || first.Workers != 2 || !slices.Equal(first.TaskQueues, []string{"runs", "connectors"}) || time.Since(first.LastSeen.Time) > 30*time.Second {
		t.Errorf("%+v", first)
	}
	if second.BuildID != "1" || second.Workers != 0 {
		t.Errorf("a build that nobody has seen for two minutes: %+v", second)
	}
	text, err := json.Marshal(d)
	must(t, err)
	if strings.Contains(string(text), "h1/1") {
		t.Errorf("a tenant is told who the workers are: %s", text)
	}
	named, err := w.Daemon(ctx, true)
	must(t, err)
	if p := named.Workers.Builds[0].Processes; len(p) != 2 || p[0].Identity != "h1/1@2" || p[1].Identity != "h2/1@2" {
		t.Errorf("%+v", p)
	}
	runs := d.TaskQueues[0]
	if runs.Name != "runs" || runs.Backlog != 5 || runs.OldestWaitSeconds != 1.5 || runs.AddRate != 3 || runs.DispatchRate != .5 {
		t.Errorf("%+v", runs)
	}
	if d.Engine != (control.EngineView{Reachable: true, Version: "1.2.3"}) || d.Reconciler.Unavailable != "No passes are scheduled." || d.Schedules.Paused != int(tenant[15]%4) {
		t.Errorf("%+v %+v %+v", d.Engine, d.Reconciler, d.Schedules)
	}
	h, err := w.FindHealth(ctx, "runs")
	must(t, err)
	if !h.Polling || h.LastSeen == nil || h.Activities.Tasks != 3 {
		t.Errorf("%+v", h)
	}
}

// An engine that does not answer costs two seconds, whatever is asked, and no failure.
func TestTheEngineIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, _ := w.database.Tenant(t, "a")
	w.away.Store(true)
	began := pace.Start(t)
	d := w.daemon(ctx, t)
	if took := began.Took(); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
	if d.Engine.Reachable || d.Engine.Unavailable == "" || d.Workers.Unavailable == "" || d.TaskQueues[0].Unavailable == "" || d.Schedules.Unavailable == "" {
		t.Errorf("%+v", d)
	}
	if _, err := w.FindHealth(ctx, "runs"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the queue of an engine that is away: %v", err)
	}
	must(t, w.Pause(ctx, control.Change{})) // what it does not need the engine for works
	if d := w.daemon(ctx, t); d.State != control.Paused {
		t.Errorf("%+v", d.Standing)
	}
}

// Many who look at once are one question.
func TestOneAsksForAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, _ := w.database.Tenant(t, "a")
	other, _ := w.database.Tenant(t, "b")
	w.gate, w.entered = make(chan struct{}), make(chan struct{}, 50)
	leaving, leave := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { _, _ = w.Daemon(leaving, false) })
	<-w.entered
	leave() // who asked first has left; the others still get their answer
	for range 24 {
		for _, ctx := range []context.Context{ctx, other} {
			all.Go(func() {
				if d, err := w.Daemon(ctx, false); err != nil || !d.Engine.Reachable {
					t.Errorf("%+v, %v", d.Engine, err)
				}
			})
		}
	}
	close(w.gate)
	all.Wait()
	if n := w.calls.Load(); n > 2 { // a busy machine may take longer than an answer is remembered
		t.Errorf("the engine was asked %d times", n)
	}
}
