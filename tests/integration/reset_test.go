package integration

import (
	"slices"
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// A run that has ended stays as it is, whatever its workflow is made to do again.
func TestAnEndedRunIsReset(t *testing.T) {
	t.Parallel()
	s, alerts := alerting(t,
		fakellm.Rule{Contains: "compute", Turn: fakellm.FirstTurn, Reply: calls("calculator", `{"expression":"6*7"}`)},
		fakellm.Rule{Contains: "story", Reply: endless()})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, withTools("calculator"))
	for name, task := range map[string]int{"from its beginning": 1, "from its middle": 2, "from its end": 0} {
		t.Run("completed, "+name, func(t *testing.T) {
			r := x.StartRun(t, `{"input": "compute this"}`)
			wantEnd(t, s, x, r.ID, runs.Completed, "")
			alerts.next(t)
			closed(t, s, x, r.ID)
			asked, before := len(s.Model.Records()), len(wholeLog(t, x, r.ID))
			reset(t, s, x, r.ID, task)
			closed(t, s, x, r.ID)
			pass(t, p)
			wantEnd(t, s, x, r.ID, runs.Completed, "")
			if n := len(wholeLog(t, x, r.ID)); n != before {
				t.Errorf("the log has %d events, it had %d", n, before)
			}
			if n := len(s.Model.Records()); n != asked {
				t.Errorf("the model was asked %d times more", n-asked)
			}
		})
	}
	t.Run("terminated", func(t *testing.T) {
		r := x.StartRun(t, `{"input": "a story"}`)
		x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
		terminate(t, s, x, r.ID, "")
		pass(t, p)
		wantEnd(t, s, x, r.ID, runs.Failed, event.ErrorTerminated)
		alerts.next(t)
		asked := len(s.Model.Records())
		reset(t, s, x, r.ID, 1)
		if status := closed(t, s, x, r.ID); status != enums.WORKFLOW_EXECUTION_STATUS_CANCELED {
			t.Errorf("the workflow that was reset is %s", status)
		}
		pass(t, p)
		wantEnd(t, s, x, r.ID, runs.Failed, event.ErrorTerminated)
		if n := len(s.Model.Records()); n != asked {
			t.Errorf("the model was asked %d times more", n-asked)
		}
	})
	if n := alerts.attempts.Load(); n != 4 {
		t.Errorf("%d alerts were sent, want 4", n)
	}
}

// A run that goes on goes on with the same log: steps that are on record are not taken again, and text that
// was half written is declared void.
func TestARunningRunIsReset(t *testing.T) {
	t.Parallel()
	const answer = "one two three four five six seven eight nine ten"
	s := harness.NewSystem(t,
		fakellm.Rule{Contains: "compute", Turn: fakellm.FirstTurn, Reply: calls("calculator", `{"expression":"6*7"}`)},
		fakellm.Rule{Reply: fakellm.Reply{Text: answer, Gated: true}})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, withTools("calculator"))
	r := x.StartRun(t, `{"input": "compute this"}`)
	s.Model.Release(3)
	x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
	reset(t, s, x, r.ID, 1)
	must(t, s.Model.WaitRequests(soon(t), 3))
	if n := pass(t, p).Found.Closed; n != 0 { // Temporal lists the execution that was left as terminated
		t.Errorf("a pass closed %d runs", n)
	}
	s.Model.Release(100)
	events := wholeLog(t, x, r.ID)
	wantEnd(t, s, x, r.ID, runs.Completed, "")
	if found := x.FindRun(t, r.ID); *found.Output != answer {
		t.Errorf("the answer is %q", *found.Output)
	}
	want := []event.Type{
		event.RunStarted, event.RunProgress, event.RunProgress, // step 1
		event.RunProgress, event.ToolCallStarted, event.ToolCallCompleted, event.RunProgress,
		event.RunProgress, event.AttemptRestarted, event.MessageCompleted, event.RunProgress, // step 2
		event.RunCompleted,
	}
	if types := harness.Types(events); !slices.Equal(types, want) {
		t.Errorf("the log is %v", types)
	}
	var text strings.Builder
	attempts := map[int]bool{}
	for _, e := range events {
		switch e.Type { //nolint:exhaustive // only what makes the text
		case event.AttemptRestarted:
			text.Reset()
		case event.MessageDelta:
			d := harness.Payload[event.Delta](t, e)
			attempts[d.Attempt] = true
			text.WriteString(d.Text)
		}
	}
	if text.String() != answer || len(attempts) != 2 {
		t.Errorf("the deltas say %q, in attempts %v", text.String(), attempts)
	}
}

// A reset that does not send signals again loses the answer of a human, but not for the run: a question that is asked
// again finds its answer, and one that is not gets it signalled once more.
func TestReset_WithoutSignalsKeepsTheAnswer(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t,
		fakellm.Rule{Turn: fakellm.FirstTurn, Reply: fakellm.Reply{ToolCalls: []fakellm.ToolCall{
			{ID: "a", Name: "current_time", Arguments: `{}`}, {ID: "b", Name: "calculator", Arguments: `{"expression":"6*7"}`},
		}}},
		fakellm.Rule{Turn: fakellm.AfterTools, Reply: fakellm.Reply{Text: "All done now.", Gated: true}})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{
		Tools: []agents.ToolRef{{Name: "current_time"}, {Name: "calculator", NeedsApproval: true}}, ApprovalTTLSeconds: 3600,
	})
	for name, taskOf := range map[string]func(finished []int64, signalled int64) int64{
		"to before the question": func(finished []int64, _ int64) int64 { return finished[0] },
		// The task between question and answer: the tool that needs no approval ended.
		"to before the answer": func(finished []int64, signalled int64) int64 {
			before := slices.IndexFunc(finished, func(id int64) bool { return id > signalled })
			return finished[before-1]
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := x.StartRun(t, `{"input": "go"}`)
			follower := x.Follow(t, r.ID, 0)
			asked := harness.Payload[event.ApprovalAsked](t, last(follower.Until(t, event.ApprovalRequested)))
			harness.Eventually(t, within, "the workflow heard of the other tool's end", func() bool {
				h := historyOf(t, s, x, r.ID)
				return len(h) > 0 && h[len(h)-1].GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
			})
			requests := len(s.Model.Records())
			x.Do(t, "POST", answerPath(r, asked), `{"decision":"approve"}`).Want(t, 200)
			must(t, s.Model.WaitRequests(soon(t), requests+1)) // the next step began: the answer had its effect
			var finished []int64
			var signalled int64
			for _, e := range historyOf(t, s, x, r.ID) {
				switch e.GetEventType() { //nolint:exhaustive // only these
				case enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
					finished = append(finished, e.GetEventId())
				case enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
					signalled = e.GetEventId()
				}
			}
			resetTo(t, s, x, r.ID, taskOf(finished, signalled), enums.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL)
			for _, e := range historyOf(t, s, x, r.ID) {
				if e.GetEventType() == enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED {
					t.Fatal("the reset sent the signal again: nothing is lost")
				}
			}
			s.Model.Release(100)
			_, dispatching := forgetful(p)
			harness.Eventually(t, within, "the run has ended", func() bool {
				pass(t, p)
				must(t, dispatching.Dispatch(t.Context()))
				return runs.Status(x.FindRun(t, r.ID).Status).Final()
			})
			wantEnd(t, s, x, r.ID, runs.Completed, "")
			if n := len(only(wholeLog(t, x, r.ID), event.ToolCallStarted)); n != 2 {
				t.Errorf("%d calls were made, want 2", n)
			}
		})
	}
}
