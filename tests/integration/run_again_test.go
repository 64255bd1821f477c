package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

type madeAgain struct {
	harness.Run
	RetryOf    *uuid.UUID `json:"retry_of"`
	ForkedFrom *struct {
		RunID uuid.UUID `json:"run_id"`
		Step  int       `json:"step"`
	} `json:"forked_from"`
}

func TestRetry(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Rules: []fakellm.Rule{
		{Contains: "again", Times: 1, Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 400}}},
		{Contains: "long", Reply: endless()},
	}, Default: says("Well.")})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	thread := newThread(t, x)
	failed := x.StartRun(t, map[string]any{"input": "try again", "thread_id": thread, "metadata": map[string]any{"k": 1}})
	wholeLog(t, x, failed.ID)
	if r := x.FindRun(t, failed.ID); r.Status != "failed" {
		t.Fatalf("the run is %+v", r)
	}
	var again madeAgain
	key := []string{"Idempotency-Key", "retry"}
	x.Do(t, "POST", path(failed.ID, "/retry"), `{}`, key...).Want(t, 202, &again)
	wholeLog(t, x, again.ID)
	if r := x.FindRun(t, again.ID); r.Status != "completed" || again.RetryOf == nil || *again.RetryOf != failed.ID {
		t.Errorf("the run is %+v of %v", r, again.RetryOf)
	}
	var same madeAgain
	x.Do(t, "POST", path(failed.ID, "/retry"), `{}`, key...).Want(t, 202, &same)
	if same.ID != again.ID {
		t.Error("the same key made two runs")
	}
	if got, want := said(t, x, thread), []string{"user: try again", "assistant: Well."}; !slices.Equal(got, want) {
		t.Errorf("the thread holds %q, want %q", got, want)
	}
	running := x.StartRun(t, `{"input": "a long one"}`)
	x.Do(t, "POST", path(running.ID, "/retry"), nil).WantProblem(t, 409, "conflict")
	p.NewTenant(t, agents.Config{}).Do(t, "POST", path(failed.ID, "/retry"), nil).WantProblem(t, 404, "not_found")
	cancel(t, x, running.ID, "")
}

// A fork takes over the steps before it, asks no tool again, and is billed for its own steps only.
func TestFork(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Rules: []fakellm.Rule{
		{Contains: "sum", Times: 1, Reply: calls("calculator", `{"expression": "2+3"}`)},
	}, Default: says("Five.")})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, withTools("calculator"))
	of := x.StartRun(t, `{"input": "the sum"}`)
	wholeLog(t, x, of.ID)
	fork := func(body string) (r madeAgain) {
		t.Helper()
		x.Do(t, "POST", path(of.ID, "/fork"), body).Want(t, 202, &r)
		return r
	}
	r := fork(`{"step": 2}`)
	events := wholeLog(t, x, r.ID)
	if r.ForkedFrom == nil || r.ForkedFrom.RunID != of.ID || r.ForkedFrom.Step != 2 {
		t.Errorf("the fork is %+v", r)
	}
	if n := len(only(events, event.ToolCallStarted)); n != 0 {
		t.Errorf("it made %d tool calls", n)
	}
	records := s.Model.Records()
	if got := texts(t, s, len(records)-1); len(got) != 3 || got[0] != "user: the sum" || !strings.HasPrefix(got[2], "tool: ") {
		t.Errorf("the model was shown %q", got)
	}
	first, second := x.FindRun(t, of.ID), x.FindRun(t, r.ID)
	if second.Status != "completed" || second.Usage.Tokens() == 0 || second.Usage.Tokens() >= first.Usage.Tokens() {
		t.Errorf("the fork used %+v, the whole run %+v", second.Usage, first.Usage)
	}
	// From its end one says something.
	x.Do(t, "POST", path(of.ID, "/fork"), `{"step": 3}`).WantProblem(t, 422, "validation_failed")
	r = fork(`{"step": 3, "input": "and in words?"}`)
	wholeLog(t, x, r.ID)
	got := texts(t, s, len(s.Model.Records())-1)
	if want := []string{"assistant: Five.", "user: and in words?"}; len(got) != 5 || !slices.Equal(got[3:], want) {
		t.Errorf("the model was shown %q", got)
	}
	x.Do(t, "POST", path(of.ID, "/fork"), `{"step": 4, "input": "x"}`).WantProblem(t, 422, "validation_failed")
	x.Do(t, "POST", path(of.ID, "/fork"), `{"step": 0}`).WantProblem(t, 422, "validation_failed")
	p.NewTenant(t, agents.Config{}).Do(t, "POST", path(of.ID, "/fork"), `{"step": 1}`).WantProblem(t, 404, "not_found")
}

func TestAThreadIsCopied(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	thread := newThread(t, x)
	for _, input := range []string{"one", "two"} {
		wholeLog(t, x, x.StartRun(t, map[string]any{"input": input, "thread_id": thread}).ID)
	}
	var copied struct {
		ID           uuid.UUID `json:"id"`
		MessageCount int       `json:"message_count"`
	}
	at := "/v1/threads/" + thread.String() + "/copy"
	x.Do(t, "POST", at, `{"until": 3}`).Want(t, 201, &copied)
	want := []string{"user: one", "assistant: Hello there.", "user: two"}
	if got := said(t, x, copied.ID); !slices.Equal(got, want) || copied.MessageCount != 3 {
		t.Errorf("the copy holds %q", got)
	}
	wholeLog(t, x, x.StartRun(t, map[string]any{"input": "three", "thread_id": copied.ID}).ID)
	if a, b := said(t, x, thread), said(t, x, copied.ID); len(a) != 4 || len(b) != 5 {
		t.Errorf("the threads hold %q and %q", a, b)
	}
	x.Do(t, "POST", at, `{"until": 5}`).WantProblem(t, 422, "validation_failed")
	x.Do(t, "POST", at, `{"until": -1}`).WantProblem(t, 422, "validation_failed")
	x.Do(t, "POST", at, `{"until": 0, "title": "empty"}`).Want(t, 201, &copied)
	if got := said(t, x, copied.ID); len(got) != 0 {
		t.Errorf("the copy holds %q", got)
	}
	p.NewTenant(t, agents.Config{}).Do(t, "POST", at, `{}`).WantProblem(t, 404, "not_found")
}

func TestManyRunsAreStopped(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: endless()})
	p := s.Start(t, harness.All)
	x, other := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	bystander := other.StartRun(t, `{"input": "a"}`)
	var ids []uuid.UUID
	for i := range 12 {
		ids = append(ids, start(t, x, fmt.Sprintf(`{"input": "a", "after_seconds": %d}`, i%2*3600)).ID)
	}
	x.Do(t, "POST", "/v1/runs/cancel", `{"reason": "all"}`).WantProblem(t, 422, "validation_failed")
	x.Do(t, "POST", "/v1/runs/cancel", `{"status": ["completed"]}`).WantProblem(t, 422, "validation_failed")
	var answer struct {
		Cancelling int `json:"cancelling"`
	}
	everything := `{"status": ["queued", "running", "waiting"], "reason": "over"}`
	x.Do(t, "POST", "/v1/runs/cancel", everything).Want(t, 202, &answer)
	if answer.Cancelling != len(ids) {
		t.Errorf("%d runs were asked to stop, want %d", answer.Cancelling, len(ids))
	}
	for _, id := range ids {
		wantCancelled(t, x, id, actor, "over")
	}
	x.Do(t, "POST", "/v1/runs/cancel", everything).Want(t, 202, &answer)
	if answer.Cancelling != 0 {
		t.Errorf("%d ended runs were asked to stop", answer.Cancelling)
	}
	if r := other.FindRun(t, bystander.ID); r.FinishedAt != nil {
		t.Errorf("another tenant's run is %s", r.Status)
	}
	cancel(t, other, bystander.ID, "")
}
