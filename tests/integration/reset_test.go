package integration

import (
	"slices"
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"

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
