// Package integration runs the whole program: HTTP in front, a model's wire format behind, Postgres and
// Temporal between.
package integration

import (
	"slices"
	"testing"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

func TestARunFromStartToEnd(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t,
		fakellm.Rule{Contains: "sum", Turn: fakellm.FirstTurn, Reply: fakellm.Reply{ToolCalls: []fakellm.ToolCall{{Name: "calculator", Arguments: `{"expression":"2+3"}`}}}},
		fakellm.Rule{Contains: "sum", Turn: fakellm.AfterTools, Reply: fakellm.Reply{Text: "It is five."}})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{Tools: []agents.ToolRef{{Name: "calculator"}}})
	r := x.StartRun(t, `{"input": "the sum, please"}`)
	events := x.Follow(t, r.ID, 0).Rest(t)
	harness.WantWhole(t, events)
	want := []event.Type{
		event.RunStarted, event.RunProgress, event.RunProgress, event.RunProgress, event.ToolCallStarted, event.ToolCallCompleted, event.RunProgress,
		event.RunProgress, event.MessageCompleted, event.RunProgress, event.RunCompleted,
	}
	if got := harness.Types(events); !slices.Equal(got, want) {
		t.Errorf("events %v\nwant   %v", got, want)
	}
	if r = x.FindRun(t, r.ID); r.Status != "completed" || *r.Output != "It is five." || r.FinishedAt == nil || r.Usage.Tokens() == 0 {
		t.Errorf("the run is %+v", r)
	}
}
