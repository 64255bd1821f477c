package integration

import (
	"strings"
	"testing"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

func stopping(text, reason string) fakellm.Reply {
	return fakellm.Reply{Text: text, FinishReason: reason}
}

// Why the model stopped stands in the message, at the end of the step, with the end of the run and in its row.
func TestRun_ShowsWhyTheModelStopped(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t,
		fakellm.Rule{Contains: "all", Reply: stopping("The whole answer.", "stop")},
		fakellm.Rule{Contains: "long", Reply: stopping("Half of the", "length")},
		fakellm.Rule{Contains: "filtered", Reply: stopping("I would rather not.", "content_filter")},
		fakellm.Rule{Contains: "unknown", Reply: stopping("Then the sky fell.", "sky_fell")})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	for input, want := range map[string]struct{ text, reason string }{
		"all":      {"The whole answer.", "stop"},
		"long":     {"Half of the", "length"},
		"filtered": {"I would rather not.", "content_filter"},
		"unknown":  {"Then the sky fell.", "sky_fell"},
	} {
		t.Run(input, func(t *testing.T) {
			t.Parallel()
			r := x.StartRun(t, map[string]string{"input": input})
			events := wholeLog(t, x, r.ID)
			completed := harness.Payload[event.Completed](t, last(events))
			if last(events).Type != event.RunCompleted || completed.FinishReason != want.reason || completed.Output != want.text {
				t.Errorf("the run ended with %s", last(events).Data)
			}
			message := harness.Payload[event.Message](t, only(events, event.MessageCompleted)[0])
			if message.FinishReason != want.reason || message.Text != want.text {
				t.Errorf("the message is %+v", message)
			}
			if steps := of(events, event.PhaseStep); steps[len(steps)-1].FinishReason != want.reason {
				t.Errorf("the step ended with %+v", steps)
			}
			if r = x.FindRun(t, r.ID); r.FinishReason == nil || *r.FinishReason != want.reason || r.Status != "completed" {
				t.Errorf("the row is %+v", r)
			}
		})
	}
}

// A model that stopped for another reason than being done and said nothing has not answered.
func TestRun_WithoutAnAnswerFailsWithItsOwnCode(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t,
		fakellm.Rule{Contains: "length", Reply: stopping(" ", "length")},
		fakellm.Rule{Contains: "filter", Reply: stopping(" ", "content_filter")},
		fakellm.Rule{Contains: "odd", Reply: stopping(" ", "malformed_function_call")})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	for input, reason := range map[string]string{"length": "length", "filter": "content_filter", "odd": "malformed_function_call"} {
		t.Run(input, func(t *testing.T) {
			t.Parallel()
			r := x.StartRun(t, map[string]string{"input": input})
			events := wholeLog(t, x, r.ID)
			failed := harness.Payload[event.Failed](t, last(events))
			if failed.Code != event.ErrorNoAnswer || failed.FinishReason != reason || !strings.Contains(failed.Message, reason) || failed.Steps != 1 {
				t.Errorf("the run ended with %s", last(events).Data)
			}
			if r = x.FindRun(t, r.ID); r.Status != "failed" || r.Error.Code != event.ErrorNoAnswer || r.FinishReason == nil || *r.FinishReason != reason {
				t.Errorf("the row is %+v", r)
			}
		})
	}
}

// An answer that the run's own budget cut off is no success; what there is of it is kept.
func TestRun_CutByItsBudgetFailsAndKeepsTheText(t *testing.T) {
	t.Parallel()
	reply := stopping("Half of an", "length")
	reply.Usage = &fakellm.Usage{Input: 10, Output: 3}
	s := harness.NewSystem(t, fakellm.Rule{Reply: reply})
	p := s.Start(t, harness.All)
	limit := 20
	for name, test := range map[string]struct {
		agent  agents.Config
		body   string
		status string
	}{
		"the run's budget":                 {body: `{"input": "go", "budget": {"max_tokens": 50}}`, status: "failed"},
		"the agent's limit, no budget":     {agent: agents.Config{MaxOutputTokens: &limit}, body: `{"input": "go"}`, status: "completed"},
		"the agent's limit is the smaller": {agent: agents.Config{MaxOutputTokens: &limit}, body: `{"input": "go", "budget": {"max_tokens": 5000}}`, status: "completed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := p.NewTenant(t, test.agent)
			r := x.StartRun(t, test.body)
			events := wholeLog(t, x, r.ID)
			r = x.FindRun(t, r.ID)
			if r.Status != test.status || r.Output == nil || *r.Output != "Half of an" || *r.FinishReason != "length" {
				t.Fatalf("the run is %+v, its end %s", r, last(events).Data)
			}
			if message := harness.Payload[event.Message](t, only(events, event.MessageCompleted)[0]); message.Text != "Half of an" || message.Partial {
				t.Errorf("the message is %+v", message)
			}
			if test.status == "completed" {
				return
			}
			if failed := harness.Payload[event.Failed](t, last(events)); failed.Code != event.ErrorBudget || failed.FinishReason != "length" || failed.Usage.Tokens() != 13 {
				t.Errorf("the run ended with %s", last(events).Data)
			}
		})
	}
}

// A tool call that was cut off is not run; its result says so, and the model may do better.
func TestRun_AnswersUnfinishedToolCallsToTheModel(t *testing.T) {
	t.Parallel()
	cut := fakellm.Reply{FinishReason: "length", ToolCalls: []fakellm.ToolCall{
		{ID: "whole", Name: "calculator", Arguments: `{"expression":"6*7"}`}, {ID: "cut", Name: "calculator", Arguments: `{"expression":"1+`},
	}}
	none := fakellm.Reply{FinishReason: "length", ToolCalls: []fakellm.ToolCall{{ID: "cut", Name: "calculator", Arguments: `{"expression":"1+`}}}
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Strict: true, Default: says("I see."), Rules: []fakellm.Rule{
		{Contains: "both", Turn: fakellm.FirstTurn, Reply: cut}, {Contains: "none", Turn: fakellm.FirstTurn, Reply: none},
	}})
	x := s.Start(t, harness.All).NewTenant(t, withTools("calculator"))
	for input, want := range map[string]struct{ started, ended int }{"both": {1, 2}, "none": {0, 1}} {
		t.Run(input, func(t *testing.T) {
			t.Parallel()
			r := x.StartRun(t, map[string]string{"input": input})
			events := wholeLog(t, x, r.ID)
			if completed := harness.Payload[event.Completed](t, last(events)); completed.Output != "I see." || completed.Steps != 2 {
				t.Fatalf("the run ended with %s", last(events).Data)
			}
			ended := only(events, event.ToolCallCompleted)
			if len(only(events, event.ToolCallStarted)) != want.started || len(ended) != want.ended {
				t.Fatalf("the log is %v", harness.Types(events))
			}
			if first := harness.Payload[event.ToolCompleted](t, ended[0]); !strings.Contains(first.Error, "cut off (length)") {
				t.Errorf("the cut call ended with %+v", first)
			}
			for _, record := range s.Model.Records() {
				if record.LastUser == input && record.AfterTools && !strings.Contains(string(record.Body), "cut off (length)") {
					t.Errorf("the result does not say so: %s", record.Body)
				}
			}
		})
	}
}

// A model may have nothing to say. Its empty answer is none of the thread's messages: strict providers refuse it.
func TestThread_IsNotPoisonedByAnEmptyAnswer(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{Strict: true, Default: says("I see."), Rules: []fakellm.Rule{
		{Contains: "say nothing", Times: 1, Reply: stopping("", "stop")},
	}})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	var thread struct {
		ID string `json:"id"`
	}
	x.Do(t, "POST", "/v1/threads", `{}`).Want(t, 201, &thread)
	for _, input := range []string{"say nothing", "say something"} {
		r := x.StartRun(t, map[string]string{"input": input, "thread_id": thread.ID})
		if events := wholeLog(t, x, r.ID); last(events).Type != event.RunCompleted {
			t.Fatalf("%s: the run ended with %s", input, last(events).Data)
		}
	}
	var messages struct {
		Items []struct {
			Content string `json:"content"`
		} `json:"items"`
	}
	x.Do(t, "GET", "/v1/threads/"+thread.ID+"/messages", nil).Want(t, 200, &messages)
	for _, m := range messages.Items {
		if strings.TrimSpace(m.Content) == "" {
			t.Errorf("the thread holds an empty message: %+v", messages.Items)
		}
	}
}

// An answer for which a quota had only a part of the room is no success either.
func TestRun_CutByAQuotaFailsAndKeepsTheText(t *testing.T) {
	t.Parallel()
	reply := stopping("Half of an", "length")
	reply.Usage = &fakellm.Usage{Input: 10, Output: 3}
	x := harness.NewSystem(t, fakellm.Rule{Reply: reply}).Start(t, harness.All).NewTenant(t, agents.Config{})
	allow(t, x, `{"tokens_per_month": 300}`)
	r := x.StartRun(t, `{"input": "go"}`)
	failed := harness.Payload[event.Failed](t, last(wholeLog(t, x, r.ID)))
	r = x.FindRun(t, r.ID)
	if failed.Code != event.ErrorQuota || r.Status != "failed" || r.Output == nil || *r.Output != "Half of an" {
		t.Errorf("the run is %+v, its end %+v", r, failed)
	}
	wantAccount(t, x, 13)
}
