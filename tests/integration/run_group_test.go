package integration

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// twoCalls makes the model ask for a page that never comes and, beside it, for the time, which needs approval.
func twoCalls(t *testing.T, hanging string) *harness.System {
	t.Helper()
	return harness.NewSystem(t,
		fakellm.Rule{Turn: fakellm.FirstTurn, Reply: fakellm.Reply{ToolCalls: []fakellm.ToolCall{
			{ID: "a", Name: "http_get", Arguments: fmt.Sprintf(`{"url":%q}`, hanging)}, {ID: "b", Name: "current_time", Arguments: `{}`},
		}}},
		fakellm.Rule{Turn: fakellm.AfterTools, Reply: says("Done.")})
}

func twoTools(timeout int) agents.Config {
	return agents.Config{
		Tools:          []agents.ToolRef{{Name: "http_get"}, {Name: "current_time", NeedsApproval: true}},
		TimeoutSeconds: timeout, ApprovalTTLSeconds: 3600,
	}
}

// wantApprovalsClosed demands that the run left no open question: its log says so before its end, and an answer comes
// too late.
func wantApprovalsClosed(t *testing.T, s *harness.System, x *harness.Tenant, r harness.Run, asked event.ApprovalAsked, events []event.Event) {
	t.Helper()
	closed := only(events, event.ApprovalResolved)
	if len(closed) != 1 || last(events).Type == event.ApprovalResolved {
		t.Fatalf("the log says %d times that the question is closed: %v", len(closed), harness.Types(events))
	}
	if a := harness.Payload[event.ApprovalAnswer](t, closed[0]); a.ApprovalID != asked.ApprovalID || a.Decision != "expired" || a.By != "system" || a.Reason == "" {
		t.Errorf("the question was closed as %+v", a)
	}
	var open int
	must(t, s.Database.Conn(t).QueryRow(t.Context(), `select count(*) from approvals where run_id = $1 and status = 'pending'`, r.ID).Scan(&open))
	if open != 0 {
		t.Errorf("%d questions of the ended run are open", open)
	}
	x.Do(t, "POST", answerPath(r, asked), `{"decision":"approve"}`).WantProblem(t, 409, "run_final")
	if n := len(wholeLog(t, x, r.ID)); n != len(events) {
		t.Errorf("the log went on after the run's end: %d events, then %d", len(events), n)
	}
}

// calledTools returns the names of the tools that the log says were begun.
func calledTools(t *testing.T, events []event.Event) (names []string) {
	t.Helper()
	for _, e := range only(events, event.ToolCallStarted) {
		names = append(names, harness.Payload[event.ToolStarted](t, e).Name)
	}
	return names
}

// Whatever ends a run ends all of its calls at once, also the one that waits for a human, who is asked no more.
func TestParallelCalls_EndWithTheRun(t *testing.T) {
	t.Parallel()
	hanging := newHanging(t)
	s := twoCalls(t, hanging.URL)
	p := s.Start(t, harness.All)
	patient, hasty := p.NewTenant(t, twoTools(600)), p.NewTenant(t, twoTools(5))
	for name, c := range map[string]struct {
		x      *harness.Tenant
		end    func(t *testing.T, id uuid.UUID)
		status runs.Status
		code   event.ErrorCode
	}{
		"time-out": {hasty, func(*testing.T, uuid.UUID) {}, runs.TimedOut, event.ErrorTimeout},
		"cancel": {patient, func(t *testing.T, id uuid.UUID) {
			t.Helper()
			patient.Do(t, "POST", path(id, "/cancel"), `{}`).Want(t, 202)
		}, runs.Cancelled, ""},
		"terminated": {patient, func(t *testing.T, id uuid.UUID) {
			t.Helper()
			terminate(t, s, patient, id, "")
			pass(t, p)
		}, runs.Failed, event.ErrorTerminated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, asked, follower := ask(t, c.x, "go")
			wait(t, "the page is asked for", hanging.came)
			c.end(t, r.ID)
			follower.Rest(t)
			wantEnd(t, s, c.x, r.ID, c.status, c.code)
			events := wholeLog(t, c.x, r.ID)
			wantApprovalsClosed(t, s, c.x, r, asked, events)
			if names := calledTools(t, events); len(names) != 1 || names[0] != "http_get" {
				t.Errorf("the tools %v were called", names)
			}
			closed(t, s, c.x, r.ID)
		})
	}
}
