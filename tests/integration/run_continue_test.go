package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// Seven steps with tools and an answer, in executions of two steps each, with a question and a message
// on the way: nobody outside can tell that it was not one execution.
func TestARunContinuesAsNew(t *testing.T) {
	t.Parallel()
	const toolSteps = 7
	usage := &fakellm.Usage{Input: 10, Output: 5}
	var rules []fakellm.Rule
	for i := range toolSteps {
		reply := fakellm.Reply{ToolCalls: []fakellm.ToolCall{{Name: "calculator", Arguments: fmt.Sprintf(`{"expression":"%d+100"}`, i)}}, Usage: usage}
		if i == 3 { // the second step of the second execution
			reply.ToolCalls[0].Name, reply.ToolCalls[0].Arguments = "current_time", `{}`
		}
		rules = append(rules, fakellm.Rule{Times: 1, Reply: reply})
	}
	rules = append(rules, fakellm.Rule{Reply: fakellm.Reply{Text: "All done.", Usage: usage}})
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Rules: rules})
	cfg := s.Config
	cfg.Worker.StepsPerExecution = 2
	p := s.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, agents.Config{Tools: []agents.ToolRef{{Name: "calculator"}, {Name: "current_time", NeedsApproval: true}}})
	r, a, follower := ask(t, x, "count")
	x.Do(t, "POST", path(r.ID, "/messages"), `{"content": "hurry up"}`).Want(t, 202)
	x.Do(t, "POST", answerPath(r, a), `{"decision":"approve"}`).Want(t, 200)
	follower.Rest(t)
	events := wholeLog(t, x, r.ID)

	r = x.FindRun(t, r.ID)
	if r.Status != "completed" || *r.Output != "All done." || r.Usage.InputTokens != 10*(toolSteps+1) || r.Usage.OutputTokens != 5*(toolSteps+1) {
		t.Errorf("the run is %+v", r)
	}
	if done := harness.Payload[event.Completed](t, last(events)); done.Steps != toolSteps+1 || done.Usage.Tokens() != 15*(toolSteps+1) {
		t.Errorf("the run ended with %+v", done)
	}
	if n := len(only(events, event.ToolCallCompleted)); n != toolSteps {
		t.Errorf("%d tool calls, want %d", n, toolSteps)
	}
	// The message was sent before the question was answered, in the second execution's last step: the
	// next execution shows it to the model.
	if before, after := texts(t, s, 3), texts(t, s, 4); slices.Contains(before, "user: hurry up") || !slices.Contains(after, "user: hurry up") {
		t.Errorf("the model was shown\n%s\nand then\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if shown := strings.Join(texts(t, s, toolSteps), "\n"); !strings.Contains(shown, "100") || !strings.Contains(shown, "106") {
		t.Errorf("the last step was shown\n%s", shown)
	}

	executions := 0
	for id := ""; ; executions++ {
		history := s.Temporal.GetWorkflowHistory(t.Context(), workflows.RunWorkflowID(x.ID, r.ID), id, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		first, err := history.Next()
		must(t, err)
		started := first.GetWorkflowExecutionStartedEventAttributes()
		if id = started.GetContinuedExecutionRunId(); id == "" {
			break
		}
		if started.GetPriority().GetFairnessKey() != x.ID.String() {
			t.Errorf("execution %d has the fairness key %q", executions, started.GetPriority().GetFairnessKey())
		}
	}
	if executions++; executions != 4 {
		t.Errorf("%d executions for %d steps of 2 each", executions, toolSteps+1)
	}
	wantStatus(t, s, x, r.ID, runs.Completed)
	if got := attribute(t, s, x, r.ID, workflows.TenantID.GetName()); got != x.ID.String() {
		t.Errorf("the last execution is of tenant %q", got)
	}
}
