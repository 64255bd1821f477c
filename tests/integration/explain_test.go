package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

func explain(t testing.TB, x *harness.Tenant, id uuid.UUID) (e runs.Explanation) {
	t.Helper()
	x.Do(t, "GET", path(id, "/explain"), nil).Want(t, 200, &e)
	if len(e.Reasons) == 0 || e.RunID != id || e.Next == "" {
		t.Fatalf("explained with %+v", e)
	}
	return e
}

func reasonIn(e runs.Explanation, code runs.ReasonCode) (runs.Reason, bool) {
	i := slices.IndexFunc(e.Reasons, func(r runs.Reason) bool { return r.Code == code })
	if i < 0 {
		return runs.Reason{}, false
	}
	return e.Reasons[i], true
}

// reasonOf demands a reason among those that the run is explained with.
func reasonOf(t testing.TB, x *harness.Tenant, id uuid.UUID, code runs.ReasonCode) runs.Reason {
	t.Helper()
	e := explain(t, x, id)
	r, ok := reasonIn(e, code)
	if !ok {
		t.Fatalf("explained with %+v, want %s", e, code)
	}
	return r
}

// become waits until the run is explained with the code.
func become(t testing.TB, x *harness.Tenant, id uuid.UUID, code runs.ReasonCode) (e runs.Explanation, r runs.Reason) {
	t.Helper()
	harness.Eventually(t, within, "the run is explained with "+string(code), func() (ok bool) {
		e = explain(t, x, id)
		r, ok = reasonIn(e, code)
		return ok
	})
	return e, r
}

func TestExplainWithoutAWorker(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	x, stranger := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	id := x.StartRun(t, `{"input": "hello"}`).ID
	e, r := become(t, x, id, runs.WhyNoWorker)
	if e.Moving || e.Status != runs.Queued || r.Data == nil || r.Data.Tasks == nil || r.Data.LastSeen != nil || r.Since == nil {
		t.Errorf("%+v, %+v", e, r.Data)
	}
	harness.Eventually(t, within, "the task is counted", func() bool { return *reasonOf(t, x, id, runs.WhyNoWorker).Data.Tasks == 1 })
	stranger.Do(t, "GET", path(id, "/explain"), nil).WantProblem(t, 404, "not_found")
	x.Do(t, "GET", path(uuid.New(), "/explain"), nil).WantProblem(t, 404, "not_found")
	x.Do(t, "GET", "/v1/runs/x/explain", nil).WantProblem(t, 400, "malformed_request")
	withRole(t, x, auth.RoleViewer).Do(t, "GET", path(id, "/explain"), nil).Want(t, 200)
	terminate(t, s, x, id, "of the test")
	if e, _ := become(t, x, id, runs.WhyWorkflowEnded); e.Moving {
		t.Errorf("%+v", e)
	}
	pass(t, p)
	if e, r := become(t, x, id, runs.WhyFinished); e.Moving || e.Status != runs.Failed || r.Data.ErrorCode != "terminated" {
		t.Errorf("%+v, %+v", e, r.Data)
	}
}

func TestExplainASilentModel(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: fakellm.Reply{Text: "one two three", Gated: true}})
	p := s.StartWith(t, s.Config, harness.All, func(a *app.App) { a.Runs.Explains.SlowAfter = time.Hour })
	hurried := s.StartWith(t, s.Config, app.Options{API: true}, func(a *app.App) { a.Runs.Explains.SlowAfter = 200 * time.Millisecond })
	x := p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello"}`)
	must(t, s.Model.WaitRequests(soon(t), 1))
	if e, r := become(t, x, r.ID, runs.WhyThinking); !e.Moving || e.Status != runs.Running || r.Data == nil || r.Data.Step != 1 {
		t.Errorf("%+v, %+v", e, r.Data)
	}
	impatient := *x
	impatient.URL = hurried.URL
	e, slow := become(t, &impatient, r.ID, runs.WhyProviderSlow)
	if e.Moving || slow.Data.SilentSeconds < .2 || slow.Data.Step != 1 || slow.Since == nil {
		t.Errorf("%+v, %+v", e, slow.Data)
	}
	// The process that asked dies before it told the engine.
	broken, _ := forgetful(p)
	_, err := broken.Cancel(x.Context(t.Context()), r.ID, "no longer needed")
	must(t, err)
	e = explain(t, x, r.ID)
	if c := e.Reasons[0]; c.Code != runs.WhyCancelling || c.Data.Reason != "no longer needed" || c.Data.By != "test" || !e.Moving {
		t.Errorf("%+v", e)
	}
	s.Model.Release(100)
	x.Follow(t, r.ID, 0).Rest(t)
	if e, _ := become(t, x, r.ID, runs.WhyFinished); e.Moving {
		t.Errorf("%+v", e)
	}
}

func TestExplainARetry(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 503}}})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	id := x.StartRun(t, `{"input": "hello"}`).ID
	var e runs.Explanation
	var r runs.Reason
	harness.Eventually(t, within, "the third attempt is to come", func() bool {
		e, r = become(t, x, id, runs.WhyRetrying)
		return r.Data.Attempt >= 3 && r.Data.NextAttemptAt != nil
	})
	if e.Moving || r.Data.Step != 1 || r.Data.MaxAttempts != 0 || r.Data.LastError == "" || len(r.Data.LastError) > 500 || !strings.Contains(r.Detail, "Step 1") || r.Until == nil {
		t.Errorf("%+v, %+v", e, r.Data)
	}
	x.Do(t, "POST", path(id, "/cancel?wait=true"), `{}`).Want(t, 200)
	if r := reasonOf(t, x, id, runs.WhyFinished); r.Data.Outcome != runs.Cancelled {
		t.Errorf("%+v, %+v", r, r.Data)
	}
}

func TestExplainApprovalsAndTools(t *testing.T) {
	t.Parallel()
	h := newHanging(t)
	s := harness.NewSystem(t, fakellm.Rule{Turn: fakellm.FirstTurn, Reply: calls("http_get", fmt.Sprintf(`{"url":%q}`, h.URL))})
	x := s.Start(t, harness.All).NewTenant(t, asking("http_get", 3600))
	r, a, _ := ask(t, x, "look there")
	e, reason := become(t, x, r.ID, runs.WhyWaitingApproval)
	if e.Moving || e.Status != runs.Waiting || *reason.Data.ApprovalID != a.ApprovalID || reason.Data.Tool != "http_get" || reason.Until == nil || *reason.Until != a.ExpiresAt {
		t.Errorf("%+v, %+v", e, reason.Data)
	}
	x.Do(t, "POST", answerPath(r, a), `{"decision":"approve"}`).Want(t, 200)
	wait(t, "the tool is at work", h.came)
	e, reason = become(t, x, r.ID, runs.WhyToolRunning)
	if !e.Moving || reason.Data.Tool != "http_get" || *reason.Data.ToolCallID != a.ToolCallID || reason.Since == nil {
		t.Errorf("%+v, %+v", e, reason.Data)
	}
	x.Do(t, "POST", path(r.ID, "/cancel?wait=true"), `{}`).Want(t, 200)
}

func TestExplainHeldRuns(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: endless()})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	thread := newThread(t, x)
	first := start(t, x, map[string]any{"input": "one", "thread_id": thread})
	second := start(t, x, map[string]any{"input": "two", "thread_id": thread, "on_busy": "enqueue"})
	third := start(t, x, map[string]any{"input": "three", "thread_id": thread, "on_busy": "enqueue"})
	if r := reasonOf(t, x, third.ID, runs.WhyHeldThread); *r.Data.RunID != first.ID || r.Data.Position != 2 {
		t.Errorf("%+v, %+v", r, r.Data)
	}
	later := start(t, x, `{"input": "later", "after_seconds": 3600}`)
	if r := reasonOf(t, x, later.ID, runs.WhyHeldDelay); r.Until == nil || time.Until(r.Until.Time) < 50*time.Minute {
		t.Errorf("%+v", r)
	}
	for _, r := range []heldRun{later, third, second, first} {
		x.Do(t, "POST", path(r.ID, "/cancel?wait=true"), `{}`).Want(t, 200)
	}
}

func TestExplainAStuckWorkflow(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	w := strange(t, s, panics, recording(p))
	id := x.StartRun(t, `{"input": "hello"}`).ID
	if e, r := become(t, x, id, runs.WhyWorkflowStuck); e.Moving || r.Data == nil || r.Data.Attempt < 3 {
		t.Errorf("%+v, %+v", e, r.Data)
	}
	w.Stop()
	s.Start(t, app.Options{Worker: true})
	if events := x.Follow(t, id, 0).Rest(t); last(events).Type != event.RunCompleted {
		t.Errorf("the run ended with %s", last(events).Data)
	}
}
