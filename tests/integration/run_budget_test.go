package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
)

func TestBudgets(t *testing.T) {
	t.Parallel()
	usage := &fakellm.Usage{Input: 100, Output: 50}
	again := calls("calculator", `{"expression":"6*7"}`)
	again.Usage = usage
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Default: again})
	s.Config.Models.Prices = llm.PriceTable{s.Config.Models.OpenAIModel: {Input: decimal.NewFromInt(10_000), Output: decimal.NewFromInt(20_000)}} // a step costs two dollars
	s.Config.Worker.StepsPerExecution = 2                                                                                                         // a budget is the run's, however many executions it takes
	p := s.Start(t, harness.All)
	ofAgent := int64(400)
	for name, test := range map[string]struct {
		agent  agents.Config
		budget string
		steps  int
		says   string
	}{
		"steps":               {budget: `{"max_steps": 3}`, steps: 3, says: "3 steps"},
		"tokens":              {budget: `{"max_tokens": 200}`, steps: 2, says: "300 of its 200 tokens"},
		"cost":                {budget: `{"max_cost_usd": "3.50"}`, steps: 2, says: "4 of its 3.5 US dollars"},
		"of the agent":        {agent: agents.Config{MaxTokens: &ofAgent}, budget: `{}`, steps: 3, says: "450 of its 400 tokens"},
		"over the agent's":    {agent: agents.Config{MaxTokens: &ofAgent, MaxSteps: 1}, budget: `{"max_steps": 2}`, steps: 2, says: "2 steps"},
		"the first that ends": {budget: `{"max_steps": 9, "max_tokens": 1000, "max_cost_usd": "1"}`, steps: 1, says: "2 of its 1 US dollars"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.agent.Tools = []agents.ToolRef{{Name: "calculator"}}
			x := p.NewTenant(t, test.agent)
			r := x.StartRun(t, fmt.Sprintf(`{"input": %q, "budget": %s}`, name, test.budget))
			events := wholeLog(t, x, r.ID)
			failed := harness.Payload[event.Failed](t, last(events))
			if last(events).Type != event.RunError || failed.Code != event.ErrorBudget || !strings.Contains(failed.Message, test.says) || failed.Steps != test.steps {
				t.Errorf("the run ended with %s", last(events).Data)
			}
			if cost := decimal.NewFromInt(int64(2 * test.steps)); failed.Usage.Tokens() != int64(150*test.steps) || !failed.Usage.CostUSD.Equal(cost) {
				t.Errorf("the usage is %+v, want %d tokens and %s dollars", failed.Usage, 150*test.steps, cost)
			}
			if r = x.FindRun(t, r.ID); r.Status != "failed" || r.Error.Code != event.ErrorBudget || !r.Usage.CostUSD.Equal(failed.Usage.CostUSD) || r.Usage.Tokens() != failed.Usage.Tokens() {
				t.Errorf("the row is %+v", r)
			}
			requests := 0
			for i, record := range s.Model.Records() {
				if record.LastUser != name {
					continue
				}
				requests++
				if name == "tokens" { // what is left of the budget bounds the next answer
					wantLimit(t, s.Model.Records()[i].Body, 200-150*(requests-1))
				}
			}
			if requests != test.steps {
				t.Errorf("the model was asked %d times, want %d", requests, test.steps)
			}
		})
	}
}

func wantLimit(t *testing.T, body []byte, want int) {
	t.Helper()
	var sent struct {
		New int `json:"max_completion_tokens"`
		Old int `json:"max_tokens"`
	}
	must(t, json.Unmarshal(body, &sent))
	if got := max(sent.New, sent.Old); got != want {
		t.Errorf("the model may answer with %d tokens, want %d", got, want)
	}
}

// wantTimedOut demands an end by the run's time limit, in time.
func wantTimedOut(t *testing.T, x *harness.Tenant, r harness.Run, limit time.Duration) []event.Event {
	t.Helper()
	events := wholeLog(t, x, r.ID)
	failed := harness.Payload[event.Failed](t, last(events))
	if last(events).Type != event.RunError || failed.Code != event.ErrorTimeout {
		t.Fatalf("the run ended with %s: %s", last(events).Type, last(events).Data)
	}
	if took := time.Duration(failed.DurationMS) * time.Millisecond; took < limit-500*time.Millisecond || took > limit+5*pace.Patience*time.Second {
		t.Errorf("it ended after %s, the limit is %s", took, limit)
	}
	r = x.FindRun(t, r.ID)
	if r.Status != "timed_out" || r.Error == nil || r.Error.Code != event.ErrorTimeout || r.FinishedAt == nil ||
		r.Usage.Tokens() != failed.Usage.Tokens() || r.Usage.Estimated != failed.Usage.Estimated {
		t.Errorf("the row is %+v, the log says %s", r, last(events).Data)
	}
	return events
}

func TestTimeLimits(t *testing.T) {
	t.Parallel()
	h := newHanging(t)
	s := harness.NewSystem(t,
		fakellm.Rule{Contains: "story", Reply: endless()},
		fakellm.Rule{Contains: "silence", Reply: fakellm.Reply{Hang: true}},
		fakellm.Rule{Contains: "page", Reply: calls("http_get", fmt.Sprintf(`{"url":%q}`, h.URL))},
		fakellm.Rule{Contains: "retry", Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 503}}},
		fakellm.Rule{Contains: "human", Turn: fakellm.FirstTurn, Reply: calls("calculator", `{"expression":"6*7"}`)})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, withTools("http_get"))
	const limit = 3 * time.Second
	start := func(t *testing.T, x *harness.Tenant, input string) harness.Run {
		t.Helper()
		return x.StartRun(t, map[string]any{"input": input, "timeout_seconds": 3})
	}

	t.Cleanup(func() {
		if n := s.Model.Stats().Disconnects; n < 2 {
			t.Errorf("%d requests to the model were aborted, want 2", n)
		}
	})
	t.Run("while the answer streams", func(t *testing.T) {
		t.Parallel()
		r := start(t, x, "a story")
		events := wantTimedOut(t, x, r, limit)
		said := only(events, event.MessageCompleted)
		if len(said) != 1 || !harness.Payload[event.Message](t, said[0]).Partial || harness.Payload[event.Message](t, said[0]).Text == "" {
			t.Errorf("the half answer is not kept: %v", harness.Types(events))
		}
		if usage := harness.Payload[event.Failed](t, last(events)).Usage; usage.OutputTokens == 0 || usage.InputTokens == 0 || !usage.Estimated {
			t.Errorf("what was said is not billed: %+v", usage)
		}
	})
	t.Run("before the first word", func(t *testing.T) {
		t.Parallel()
		wantTimedOut(t, x, start(t, x, "silence"), limit)
	})
	t.Run("while a tool is called", func(t *testing.T) {
		t.Parallel()
		r := start(t, x, "a page")
		wait(t, "the tool asks the server", h.came)
		events := wantTimedOut(t, x, r, limit)
		wait(t, "the tool's request is aborted", h.left)
		if done := only(events, event.ToolCallCompleted); len(done) != 1 || harness.Payload[event.ToolCompleted](t, done[0]).Error == "" {
			t.Errorf("the call has no end: %v", harness.Types(events))
		}
	})
	t.Run("between retries", func(t *testing.T) {
		t.Parallel()
		wantTimedOut(t, x, start(t, x, "retry"), limit)
	})
	t.Run("a human's time is not counted", func(t *testing.T) {
		t.Parallel()
		x := p.NewTenant(t, asking("calculator", 3600))
		r := start(t, x, "a human")
		a := harness.Payload[event.ApprovalAsked](t, last(x.Follow(t, r.ID, 0).Until(t, event.ApprovalRequested)))
		<-time.After(limit + time.Second)
		x.Do(t, "POST", answerPath(r, a), `{"decision":"approve"}`).Want(t, 200)
		if events := wholeLog(t, x, r.ID); last(events).Type != event.RunCompleted {
			t.Errorf("the run ended with %s", last(events).Data)
		}
	})
}
