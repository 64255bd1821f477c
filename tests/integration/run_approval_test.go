package integration

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// computing makes the model ask for 6*7 and then say that it is done.
func computing(t *testing.T) *harness.System {
	t.Helper()
	return harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Rules: []fakellm.Rule{
		{Contains: "both", Turn: fakellm.FirstTurn, Reply: fakellm.Reply{ToolCalls: []fakellm.ToolCall{
			{ID: "a", Name: "calculator", Arguments: `{"expression":"1+1"}`}, {ID: "b", Name: "calculator", Arguments: `{"expression":"2+2"}`},
		}}},
		{Turn: fakellm.FirstTurn, Reply: calls("calculator", `{"expression":"6*7"}`)},
		{Turn: fakellm.AfterTools, Reply: says("Done.")},
	}})
}

// ask starts a run and gives it with its first question, once it waits.
func ask(t *testing.T, x *harness.Tenant, input string) (harness.Run, event.ApprovalAsked, *harness.Stream) {
	t.Helper()
	r := x.StartRun(t, map[string]string{"input": input})
	follower := x.Follow(t, r.ID, 0)
	return r, harness.Payload[event.ApprovalAsked](t, last(follower.Until(t, event.ApprovalRequested))), follower
}

func answerPath(r harness.Run, a event.ApprovalAsked) string {
	return path(r.ID, "/approvals/"+a.ApprovalID.String())
}

// told gives what the model was shown after the tool's turn of the run with the input.
func told(t *testing.T, s *harness.System, input string) string {
	t.Helper()
	for i, record := range s.Model.Records() {
		if record.AfterTools && record.LastUser == input {
			return strings.Join(texts(t, s, i), "\n")
		}
	}
	t.Fatalf("the model was not asked again about %q", input)
	return ""
}

func TestApprovals(t *testing.T) {
	t.Parallel()
	s := computing(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, asking("calculator", 3600))

	t.Run("approve", func(t *testing.T) {
		t.Parallel()
		r, a, follower := ask(t, x, "approve")
		if got := x.FindRun(t, r.ID).Status; got != "waiting" {
			t.Errorf("the run is %s", got)
		}
		wantStatus(t, s, x, r.ID, runs.Waiting)
		if a.Name != "calculator" || string(a.Arguments) != `{"expression": "6*7"}` && string(a.Arguments) != `{"expression":"6*7"}` || a.ExpiresAt.IsZero() {
			t.Errorf("asked %+v: %s", a, a.Arguments)
		}
		var first, second json.RawMessage
		x.Do(t, "POST", answerPath(r, a), `{"decision":"approve","reason":"fine"}`).Want(t, 200, &first)
		x.Do(t, "POST", answerPath(r, a), `{"decision":"approve","reason":"fine"}`).Want(t, 200, &second)
		if string(first) != string(second) {
			t.Errorf("the same answer twice was told\n%s and\n%s", first, second)
		}
		x.Do(t, "POST", answerPath(r, a), `{"decision":"reject"}`).WantProblem(t, 409, "conflict")
		x.Do(t, "POST", answerPath(r, a), `{"decision":"approve","arguments":{"expression":"1"}}`).WantProblem(t, 409, "conflict")
		follower.Rest(t)
		x.Do(t, "POST", answerPath(r, a), `{"decision":"approve"}`).Want(t, 200)
		x.Do(t, "POST", answerPath(r, a), `{"decision":"reject"}`).WantProblem(t, 409, "conflict")
		events := wholeLog(t, x, r.ID)
		want := []event.Type{
			event.RunStarted, event.RunProgress, event.RunProgress, // the step that asks for the tool
			event.RunProgress, event.ApprovalRequested, event.ApprovalResolved, event.RunProgress,
			event.RunProgress, event.ToolCallStarted, event.ToolCallCompleted, event.RunProgress,
			event.RunProgress, event.MessageCompleted, event.RunProgress, event.RunCompleted,
		}
		if got := harness.Types(events); !slices.Equal(got, want) {
			t.Errorf("events %v\nwant   %v", got, want)
		}
		resolved := harness.Payload[event.ApprovalAnswer](t, only(events, event.ApprovalResolved)[0])
		if resolved.Decision != "approved" || resolved.By != actor || resolved.Reason != "fine" || resolved.Arguments != nil {
			t.Errorf("resolved %+v", resolved)
		}
		wantStatus(t, s, x, r.ID, runs.Completed)
	})

	t.Run("reject", func(t *testing.T) {
		t.Parallel()
		r, a, follower := ask(t, x, "reject")
		x.Do(t, "POST", answerPath(r, a), `{"decision":"reject","arguments":{}}`).WantProblem(t, 422, "validation_failed")
		x.Do(t, "POST", answerPath(r, a), `{"decision":"reject","reason":"too risky"}`).Want(t, 200)
		events := follower.Rest(t)
		if n := len(only(events, event.ToolCallStarted)); n != 0 {
			t.Error("the tool was called")
		}
		done := harness.Payload[event.ToolCompleted](t, only(events, event.ToolCallCompleted)[0])
		if !strings.Contains(done.Error, "refused") || !strings.Contains(done.Error, "too risky") {
			t.Errorf("the call's result is %+v", done)
		}
		if shown := told(t, s, "reject"); !strings.Contains(shown, done.Error) {
			t.Errorf("the model was shown\n%s", shown)
		}
		if last(events).Type != event.RunCompleted {
			t.Errorf("the run ended with %s", last(events).Data)
		}
	})

	t.Run("edited arguments", func(t *testing.T) {
		t.Parallel()
		r, a, follower := ask(t, x, "edited")
		x.Do(t, "POST", answerPath(r, a), `{"decision":"approve","arguments":"1+2"}`).WantProblem(t, 422, "validation_failed")
		x.Do(t, "POST", answerPath(r, a), `{"decision":"approve","arguments":{"expression":"100+11"}}`).Want(t, 200)
		x.Do(t, "POST", answerPath(r, a), `{"decision":"approve","arguments": { "expression" : "100+11" } }`).Want(t, 200)
		events := follower.Rest(t)
		started := harness.Payload[event.ToolStarted](t, only(events, event.ToolCallStarted)[0])
		done := harness.Payload[event.ToolCompleted](t, only(events, event.ToolCallCompleted)[0])
		if !strings.Contains(string(started.Arguments), "100+11") || !strings.Contains(done.Result, "111") {
			t.Errorf("the tool was called with %s and gave %+v", started.Arguments, done)
		}
		if answer := harness.Payload[event.ApprovalAnswer](t, only(events, event.ApprovalResolved)[0]); !strings.Contains(string(answer.Arguments), "100+11") {
			t.Errorf("the log does not say what was edited: %+v", answer)
		}
		if shown := told(t, s, "edited"); !strings.Contains(shown, "111") {
			t.Errorf("the model was shown\n%s", shown)
		}
	})

	t.Run("arguments null are the model's", func(t *testing.T) {
		t.Parallel()
		r, a, follower := ask(t, x, "null")
		x.Do(t, "POST", answerPath(r, a), `{"decision":"approve","arguments":null}`).Want(t, 200)
		done := harness.Payload[event.ToolCompleted](t, only(follower.Rest(t), event.ToolCallCompleted)[0])
		if !strings.Contains(done.Result, "42") {
			t.Errorf("the tool gave %+v", done)
		}
	})

	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		r, a, _ := ask(t, x, "unknown")
		other, _, _ := ask(t, x, "another run")
		stranger := p.NewTenant(t, agents.Config{})
		approve := `{"decision":"approve"}`
		x.Do(t, "POST", path(r.ID, "/approvals/"+uuid.NewString()), approve).WantProblem(t, 404, "not_found")
		x.Do(t, "POST", path(other.ID, "/approvals/"+a.ApprovalID.String()), approve).WantProblem(t, 404, "not_found")
		x.Do(t, "POST", path(uuid.New(), "/approvals/"+a.ApprovalID.String()), approve).WantProblem(t, 404, "not_found")
		stranger.Do(t, "POST", answerPath(r, a), approve).WantProblem(t, 404, "not_found")
		x.Do(t, "POST", answerPath(r, a), `{"decision":"expire"}`).WantProblem(t, 422, "validation_failed")
		x.Do(t, "POST", answerPath(r, a), `{}`).WantProblem(t, 422, "validation_failed")
		if got := x.FindRun(t, r.ID).Status; got != "waiting" {
			t.Errorf("the run is %s", got)
		}
	})

	t.Run("two calls, two answers", func(t *testing.T) {
		t.Parallel()
		r := x.StartRun(t, `{"input": "both"}`)
		follower := x.Follow(t, r.ID, 0)
		first := harness.Payload[event.ApprovalAsked](t, last(follower.Until(t, event.ApprovalRequested)))
		second := harness.Payload[event.ApprovalAsked](t, last(follower.Until(t, event.ApprovalRequested)))
		x.Do(t, "POST", answerPath(r, first), `{"decision":"approve"}`).Want(t, 200)
		follower.Until(t, event.ToolCallCompleted)
		if got := x.FindRun(t, r.ID).Status; got != "waiting" {
			t.Errorf("one question is open and the run is %s", got)
		}
		wantStatus(t, s, x, r.ID, runs.Waiting)
		x.Do(t, "POST", answerPath(r, second), `{"decision":"reject","reason":"enough"}`).Want(t, 200)
		follower.Rest(t)
		events := wholeLog(t, x, r.ID)
		waits := 0
		for _, e := range only(events, event.RunProgress) {
			if harness.Payload[event.Progress](t, e).Phase == event.PhaseWait {
				waits++
			}
		}
		if waits != 2 {
			t.Errorf("the wait has %d begins and ends, want one of each: %v", waits, harness.Types(events))
		}
		if n := len(only(events, event.ToolCallStarted)); n != 1 {
			t.Errorf("%d tools were called", n)
		}
		if shown := told(t, s, "both"); !strings.Contains(shown, "enough") {
			t.Errorf("the model was shown\n%s", shown)
		}
	})

	t.Run("nobody answers", func(t *testing.T) {
		t.Parallel()
		x := p.NewTenant(t, asking("calculator", 1))
		r, a, follower := ask(t, x, "expires")
		events := follower.Rest(t)
		answer := harness.Payload[event.ApprovalAnswer](t, only(events, event.ApprovalResolved)[0])
		if answer.Decision != "expired" || answer.By != "system" {
			t.Errorf("resolved %+v", answer)
		}
		if shown := told(t, s, "expires"); !strings.Contains(shown, "in time") {
			t.Errorf("the model was shown\n%s", shown)
		}
		x.Do(t, "POST", answerPath(r, a), `{"decision":"approve"}`).WantProblem(t, 409, "conflict")
		if got := x.FindRun(t, r.ID).Status; got != "completed" {
			t.Errorf("the run is %s", got)
		}
	})

	// The process dies after it recorded the answer and before it told the workflow.
	t.Run("the workflow is told later", func(t *testing.T) {
		t.Parallel()
		r, a, follower := ask(t, x, "later")
		broken, dispatching := forgetful(p)
		_, err := broken.Resolve(x.Context(t.Context()), r.ID, a.ApprovalID, runs.Answer{Decision: runs.Approved})
		must(t, err)
		follower.Until(t, event.ApprovalResolved)
		must(t, dispatching.Dispatch(t.Context()))
		if events := follower.Rest(t); last(events).Type != event.RunCompleted {
			t.Errorf("the run ended with %s", last(events).Data)
		}
	})
}

// Nothing of a waiting run is in a process's memory.
func TestAnApprovalOutlivesEveryProcess(t *testing.T) {
	t.Parallel()
	s := computing(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, asking("calculator", 3600))
	r, a, _ := ask(t, x, "restart")
	must(t, ignoreCancel(p.Stop()))
	x.URL = s.Start(t, app.Options{API: true}).URL
	if got := x.FindRun(t, r.ID).Status; got != "waiting" {
		t.Errorf("the run is %s", got)
	}
	x.Do(t, "POST", answerPath(r, a), `{"decision":"approve"}`).Want(t, 200)
	s.Start(t, app.Options{Worker: true})
	events := wholeLog(t, x, r.ID)
	if done := harness.Payload[event.ToolCompleted](t, only(events, event.ToolCallCompleted)[0]); !strings.Contains(done.Result, "42") {
		t.Errorf("the tool gave %+v", done)
	}
	if last(events).Type != event.RunCompleted {
		t.Errorf("the run ended with %s", last(events).Data)
	}
}
