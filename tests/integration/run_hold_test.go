package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// limit sets quotas of the tenant, as the platform does.
func limit(t testing.TB, s *harness.System, tenant uuid.UUID, column string, value any) {
	t.Helper()
	_, err := s.Database.DB.Exec(postgres.AsSystem(t.Context()), fmt.Sprintf(`
		insert into tenant_quotas (tenant_id, source, %[1]s, updated_by, updated_at) values ($1, 'platform', $2, 'test', now())
		on conflict (tenant_id, source) do update set %[1]s = excluded.%[1]s`, column), tenant, value)
	must(t, err)
}

// daemon puts the tenant into a state.
func daemon(t testing.TB, s *harness.System, tenant uuid.UUID, state, newRuns string) {
	t.Helper()
	_, err := s.Database.DB.Exec(postgres.AsSystem(t.Context()), `
		insert into daemon_states (tenant_id, state, new_runs, reason, changed_by, changed_at) values ($1, $2, $3, 'maintenance', 'test', now())
		on conflict (tenant_id) do update set state = excluded.state, new_runs = excluded.new_runs`, tenant, state, newRuns)
	must(t, err)
}

// usedToday gives how many runs count for today.
func usedToday(t testing.TB, s *harness.System, tenant uuid.UUID) (n int) {
	t.Helper()
	must(t, s.Database.Conn(t).QueryRow(t.Context(), `select coalesce(sum(runs), 0) from quota_usage where tenant_id = $1 and period = 'day'`, tenant).Scan(&n))
	return n
}

type heldRun struct {
	harness.Run
	Held *struct {
		By string `json:"by"`
	} `json:"held"`
}

func find(t testing.TB, x *harness.Tenant, id uuid.UUID) (r heldRun) {
	t.Helper()
	x.Do(t, "GET", path(id, ""), nil).Want(t, 200, &r)
	return r
}

// start asks for a run that may be held.
func start(t testing.TB, x *harness.Tenant, body any) (r heldRun) {
	t.Helper()
	x.Do(t, "POST", "/v1/runs", body).Want(t, 202, &r)
	return r
}

func newThread(t testing.TB, x *harness.Tenant) uuid.UUID {
	t.Helper()
	var thread struct {
		ID uuid.UUID `json:"id"`
	}
	x.Do(t, "POST", "/v1/threads", `{}`).Want(t, 201, &thread)
	return thread.ID
}

// Of fifty starts at once against a limit of ten, ten are admitted: by two processes, ten times in a row. What
// ended makes room, whoever ended it.
func TestTheQuotaOfConcurrentRunsIsExact(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: endless()})
	one, two := s.Start(t, harness.All), s.Start(t, app.Options{API: true})
	x := one.NewTenant(t, agents.Config{})
	limit(t, s, x.ID, "concurrent_runs", 10)
	y := *x
	y.URL = two.URL
	for round := range 10 {
		var mu sync.Mutex
		var taken []uuid.UUID
		refused := 0
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				at := []*harness.Tenant{x, &y}[i%2]
				a, err := at.Try(t.Context(), "POST", "/v1/runs", `{"input": "go on"}`)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					t.Error(err)
				case a.Status == 202:
					var r harness.Run
					a.Want(t, 202, &r)
					taken = append(taken, r.ID)
				case a.Status == 429 && a.Header.Get("Retry-After") != "" && strings.Contains(string(a.Body), "concurrent_runs"):
					refused++
				default:
					t.Errorf("status %d: %s", a.Status, a.Body)
				}
			})
		}
		all.Wait()
		if len(taken) != 10 || refused != 40 {
			t.Fatalf("round %d: %d were admitted and %d refused, want 10 and 40", round, len(taken), refused)
		}
		// Half of them end by their workflows, half are found dead by the reconciler.
		for i, id := range taken {
			if i%2 == 0 {
				x.Do(t, "POST", path(id, "/cancel?wait=true"), `{}`)
				continue
			}
			must(t, s.Temporal.TerminateWorkflow(t.Context(), x.ID.String()+"/run/"+id.String(), "", "test"))
			harness.Eventually(t, within, "the run is settled", func() bool {
				must(t, one.App.Runs.Settle(x.Context(t.Context()), id))
				return find(t, x, id).FinishedAt != nil
			})
			must(t, one.App.Runs.Settle(x.Context(t.Context()), id))
		}
	}
	if n := usedToday(t, s, x.ID); n != 100 {
		t.Errorf("%d runs count for today, want 100", n)
	}
}

func TestTheQuotaOfRunsPerDay(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	limit(t, s, x.ID, "runs_per_day", 2)
	key := []string{"Idempotency-Key", "once"}
	x.Do(t, "POST", "/v1/runs", `{"input": "a"}`, key...).Want(t, 202)
	x.Do(t, "POST", "/v1/runs", `{"input": "a"}`, key...).Want(t, 202)
	// A run that is refused for another reason does not count.
	x.Do(t, "POST", "/v1/runs", fmt.Sprintf(`{"input": "a", "thread_id": %q}`, uuid.New())).WantProblem(t, 422, "validation_failed")
	near := x.Do(t, "POST", "/v1/runs/stream", `{"input": "b"}`)
	near.Want(t, 200)
	if got := near.Header.Get("Lari-Quota-Warning"); !strings.HasPrefix(got, `"runs_per_day";limit="2";used="2";frees_at="`) {
		t.Errorf("the answer warns of %q", got)
	}
	a := x.Do(t, "POST", "/v1/runs", `{"input": "c"}`)
	p := a.WantProblem(t, 429, "quota_exceeded")
	tomorrow := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour).Format(time.RFC3339)
	if !strings.Contains(p.Detail, "runs_per_day") || !strings.Contains(p.Detail, "2 of 2") || !strings.Contains(p.Detail, tomorrow) || a.Header.Get("Retry-After") == "" {
		t.Errorf("the refusal says %q, Retry-After %q", p.Detail, a.Header.Get("Retry-After"))
	}
	if n := usedToday(t, s, x.ID); n != 2 {
		t.Errorf("%d runs count, want 2", n)
	}
}

func TestASuspendedTenantBeginsNothing(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: endless()})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	running := x.StartRun(t, `{"input": "go on"}`)
	follower := x.Follow(t, running.ID, 0)
	follower.Until(t, event.MessageDelta)
	_, err := s.Database.DB.Exec(postgres.AsSystem(t.Context()), `update tenants set status = 'suspended', status_reason = 'unpaid' where id = $1`, x.ID)
	must(t, err)
	p := x.Do(t, "POST", "/v1/runs", `{"input": "one more"}`).WantProblem(t, 403, "tenant_suspended")
	if !strings.Contains(p.Detail, "unpaid") {
		t.Errorf("the refusal says %q", p.Detail)
	}
	follower.Until(t, event.MessageDelta) // what runs goes on
	cancel(t, x, running.ID, "")
	follower.Rest(t)
}

func TestAPauseRefusesOrHolds(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x, other := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	daemon(t, s, x.ID, "paused", "refuse")
	a := x.Do(t, "POST", "/v1/runs", `{"input": "a"}`)
	if problem := a.WantProblem(t, 503, "paused"); !strings.Contains(problem.Detail, "maintenance") || a.Header.Get("Retry-After") == "" {
		t.Errorf("the refusal says %q", problem.Detail)
	}
	wholeLog(t, other, other.StartRun(t, `{"input": "a"}`).ID)

	daemon(t, s, x.ID, "paused", "hold")
	var held []heldRun
	for range 3 {
		r := start(t, x, `{"input": "a"}`)
		if r.Status != "queued" || r.Held == nil || r.Held.By != "pause" {
			t.Fatalf("the run is %+v", r)
		}
		held = append(held, r)
	}
	// One that was stopped while it was held ends, and never begins.
	x.Do(t, "POST", path(held[0].ID, "/cancel"), `{"reason": "no"}`).Want(t, 200)
	if got := types(wholeLog(t, x, held[0].ID)); !slices.Equal(got, []event.Type{event.RunStarted, event.RunCancelled}) {
		t.Errorf("its log is %v", got)
	}
	must(t, p.App.Runs.Dispatch(t.Context()))
	if r := find(t, x, held[1].ID); r.Status != "queued" || r.Held == nil {
		t.Errorf("a held run began during the pause: %+v", r)
	}
	daemon(t, s, x.ID, "running", "refuse")
	p.App.Runs.FreeTenant(x.Context(t.Context()))
	for _, r := range held[1:] {
		wholeLog(t, x, r.ID)
		if got := find(t, x, r.ID); got.Status != "completed" || got.Held != nil {
			t.Errorf("after the pause the run is %+v", got)
		}
	}
	daemon(t, s, x.ID, "draining", "hold")
	x.Do(t, "POST", "/v1/runs", `{"input": "a"}`).WantProblem(t, 503, "paused")
}

func types(events []event.Event) (all []event.Type) {
	for _, e := range events {
		all = append(all, e.Type)
	}
	return all
}

// A run with a delay begins when its time has come, and waits on for a slot if there is none.
func TestADelay(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Contains: "long", Reply: endless()})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	limit(t, s, x.ID, "concurrent_runs", 1)
	parked := start(t, x, `{"input": "much later", "after_seconds": 3600}`)
	if parked.Held == nil || parked.Held.By != "delay" {
		t.Fatalf("the run is %+v", parked)
	}
	running := x.StartRun(t, `{"input": "a long one"}`) // a held run takes no slot
	x.Follow(t, running.ID, 0).Until(t, event.MessageDelta)
	began := time.Now()
	later := start(t, x, `{"input": "later", "after_seconds": 1}`) // whenever its time comes, the slot is taken
	x.Do(t, "POST", "/v1/runs", `{"input": "no room"}`).WantProblem(t, 429, "quota_exceeded")
	harness.Eventually(t, within, "its time has come and there is no slot", func() bool {
		r := find(t, x, later.ID)
		return r.Held != nil && r.Held.By == "quota"
	})
	if waited := time.Since(began); waited < time.Second {
		t.Errorf("its time came after %s", waited)
	}
	cancel(t, x, running.ID, "")
	wholeLog(t, x, later.ID)
	if r := find(t, x, later.ID); r.Status != "completed" {
		t.Errorf("the run is %+v", r)
	}
}

// Runs of a thread begin one after the other, in the order in which they came, and each sees what was said.
func TestEnqueuedOnAThread(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Rules: []fakellm.Rule{
		{Contains: "long", Reply: endless()},
	}, Default: says("Well.")})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	thread := newThread(t, x)
	body := func(input, onBusy string) map[string]any {
		return map[string]any{"input": input, "thread_id": thread, "on_busy": onBusy}
	}
	running := start(t, x, body("a long one", "enqueue"))
	x.Follow(t, running.ID, 0).Until(t, event.MessageDelta)
	var queue []heldRun
	for i := range 3 {
		r := start(t, x, body(fmt.Sprintf("number %d", i+1), "enqueue"))
		if r.Held == nil || r.Held.By != "thread" {
			t.Fatalf("the run is %+v", r)
		}
		queue = append(queue, r)
	}
	x.Do(t, "POST", "/v1/runs", body("pushing in", "reject")).WantProblem(t, 409, "thread_busy")
	x.Do(t, "DELETE", "/v1/threads/"+thread.String(), nil).WantProblem(t, 409, "thread_busy")
	if got := said(t, x, thread); len(got) != 1 {
		t.Errorf("what waits is on the thread already: %q", got)
	}
	cancel(t, x, running.ID, "")
	for _, r := range queue {
		wholeLog(t, x, r.ID)
	}
	want := []string{
		"user: a long one", "user: number 1", "assistant: Well.", "user: number 2", "assistant: Well.", "user: number 3", "assistant: Well.",
	}
	if got := said(t, x, thread); !slices.Equal(got, want) {
		t.Errorf("the thread holds %q, want %q", got, want)
	}
	if got := texts(t, s, len(s.Model.Records())-1); !slices.Equal(got, want[:6]) {
		t.Errorf("the last one was shown %q, want %q", got, want[:6])
	}
}

// A run takes the place of those before it: what they said stays, or leaves the thread with them.
func TestInterruptAndRollBack(t *testing.T) {
	t.Parallel()
	for strategy, want := range map[string][]string{
		"interrupt": {"user: before", "assistant: Well.", "user: a long one", "user: by the way", "user: not yet said", "user: and this", "user: instead", "assistant: Well."},
		"rollback":  {"user: before", "assistant: Well.", "user: instead", "assistant: Well."},
	} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Rules: []fakellm.Rule{
				{Contains: "instead", Reply: says("Well.")}, {Contains: "long", Reply: endless()},
			}, Default: says("Well.")})
			x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
			thread := newThread(t, x)
			body := func(input, onBusy string) map[string]any {
				return map[string]any{"input": input, "thread_id": thread, "on_busy": onBusy}
			}
			wholeLog(t, x, start(t, x, body("before", strategy)).ID)
			running := start(t, x, body("a long one", strategy))
			x.Follow(t, running.ID, 0).Until(t, event.MessageDelta)
			waiting := start(t, x, body("not yet said", "enqueue"))
			x.Do(t, "POST", path(waiting.ID, "/messages"), `{"content": "and this"}`).Want(t, 202)
			x.Do(t, "POST", path(running.ID, "/messages"), `{"content": "by the way"}`).Want(t, 202)
			instead := start(t, x, body("instead", strategy))
			wholeLog(t, x, instead.ID)
			for _, r := range []heldRun{running, waiting} {
				events := wholeLog(t, x, r.ID)
				if end := last(events); end.Type != event.RunCancelled || !strings.Contains(string(end.Data), instead.ID.String()) {
					t.Errorf("the log of a run that gave way ends with %s %s", end.Type, end.Data)
				}
			}
			if got := said(t, x, thread); !slices.Equal(got, want) {
				t.Errorf("the thread holds %q, want %q", got, want)
			}
		})
	}
}

// Many runs come onto a thread at once, from two processes: one is active at a time, and all of them have
// their turn.
func TestACrowdOnAThread(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	one, two := s.Start(t, harness.All), s.Start(t, harness.All)
	x := one.NewTenant(t, agents.Config{})
	y := *x
	y.URL = two.URL
	thread := newThread(t, x)
	ids := make([]uuid.UUID, 12)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			a, err := []*harness.Tenant{x, &y}[i%2].Try(context.WithoutCancel(t.Context()), "POST", "/v1/runs",
				map[string]any{"input": "hello", "thread_id": thread, "on_busy": "enqueue"})
			var r harness.Run
			if err != nil || a.Status != 202 {
				t.Errorf("status %d, %v: %s", a.Status, err, a.Body)
				return
			}
			a.Want(t, 202, &r)
			ids[i] = r.ID
		})
	}
	all.Wait()
	for _, id := range ids {
		wholeLog(t, x, id)
	}
	if got := said(t, x, thread); len(got) != 2*len(ids) {
		t.Errorf("the thread holds %d messages: %q", len(got), got)
	} else {
		for i, text := range got {
			if want := []string{"user: hello", "assistant: Hello there."}[i%2]; text != want {
				t.Errorf("message %d is %q, want %q", i, text, want)
			}
		}
	}
}
