package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// TestZoo_ThroughAWholeRun takes one scenario of each kind through API, workflow and database, in both formats.
func TestZoo_ThroughAWholeRun(t *testing.T) {
	t.Parallel()
	kinds := map[string]string{ // the scenario, and how the run ends
		"openai: text, usage in a chunk of its own":        "completed",
		"openai: cut by the limit of tokens":               "completed",
		"openai: all tokens went into thinking":            "no_answer",
		"openai: a refusal in its own member, reason stop": "completed",
		"openai: the account is spent, said in the stream": "model_error",
		"mistral: parts with types, thoughts among them":   "completed",
		"negative counts": "completed",
		"absurd counts":   "completed",
		"a pair of surrogates split over two pieces":                        "completed",
		"a surrogate that stays alone":                                      "completed",
		"a reason that is an attack on terminals and screens":               "completed",
		"lines end in CR":                                                   "completed",
		"the last event without its blank line":                             "completed",
		"no end, only heartbeats after the reason":                          "completed",
		"gemini: a malformed call and nothing else":                         "no_answer",
		"vllm: object error":                                                "model_error",
		"gemini: an error in a list instead of a stream":                    "model_error",
		"mistral: an error whose message is an object":                      "model_error",
		"anthropic: text with a ping":                                       "completed",
		"anthropic: stop reason refusal":                                    "completed",
		"anthropic: message_stop never comes, only pings":                   "completed",
		"anthropic: lines end in CR, the last blank line is missing":        "completed",
		"anthropic: thoughts and their signature before the text":           "completed",
		"anthropic: tools that it runs by itself":                           "completed",
		"anthropic: surrogates split over two pieces":                       "completed",
		"anthropic: negative and absurd counts":                             "completed",
		"anthropic: the text comes with its block, without names of events": "completed",
	}
	var rules []fakellm.Rule
	zoo := slices.DeleteFunc(fakellm.Zoo(), func(s fakellm.Scenario) bool { return kinds[s.Name] == "" })
	if len(zoo) != len(kinds) {
		t.Fatalf("%d of %d scenarios are in the zoo", len(zoo), len(kinds))
	}
	for _, s := range zoo {
		rules = append(rules, fakellm.Rule{Contains: "[" + s.Name + "]", Reply: s.Reply})
	}
	system := harness.NewSystemWith(t, fakellm.Options{Strict: true, Rules: rules})
	system.Config.Models.AnthropicKey, system.Config.Models.AnthropicBaseURL = config.NewSecret("test"), system.Model.URL
	p := system.Start(t, harness.All)
	tenants := map[string]*harness.Tenant{
		"openai": p.NewTenant(t, agents.Config{Model: "openai"}), "anthropic": p.NewTenant(t, agents.Config{Model: "anthropic"}),
	}
	for _, s := range zoo {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			x := tenants[s.Format]
			r := x.StartRun(t, map[string]any{"input": "[" + s.Name + "]", "timeout_seconds": 60})
			events := wholeLog(t, x, r.ID)
			wantReadable(t, events)
			wantEnding(t, events, x.FindRun(t, r.ID), s.Want, kinds[s.Name])
		})
	}
}

func wantEnding(t *testing.T, events []event.Event, r harness.Run, want fakellm.Outcome, ends string) {
	t.Helper()
	if ends != "completed" {
		failed := harness.Payload[event.Failed](t, last(events))
		if string(failed.Code) != ends || r.Status != "failed" || !strings.Contains(failed.Message, want.Detail) {
			t.Errorf("the run is %s, its end %s", r.Status, last(events).Data)
		}
		if want.Hidden != "" && strings.Contains(failed.Message, want.Hidden) {
			t.Errorf("the message shows %q: %s", want.Hidden, failed.Message)
		}
		return
	}
	completed := harness.Payload[event.Completed](t, last(events))
	if r.Status != "completed" || completed.Output != want.Text || completed.FinishReason != want.Reason || *r.Output != want.Text {
		t.Errorf("the run is %s, its end %s", r.Status, last(events).Data)
	}
	if u := r.Usage; u.InputTokens <= 0 || u.OutputTokens <= 0 || u.Tokens() > 10_000 || u.CostUSD.IsNegative() {
		t.Errorf("the usage is %+v", u)
	}
}

// A provider that only sends heartbeats gets a second attempt, within the run's own limit.
func TestProvider_ThatOnlySendsHeartbeatsGetsASecondAttempt(t *testing.T) {
	t.Parallel()
	beats := &fakellm.Wire{Then: fakellm.ThenHeartbeats, Heartbeat: ": still processing\n\n"}
	s := harness.NewSystem(t, fakellm.Rule{Times: 1, Reply: fakellm.Reply{Wire: beats}}, fakellm.Rule{Reply: says("Here I am.")})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello", "timeout_seconds": 12}`)
	events := wholeLog(t, x, r.ID)
	if r = x.FindRun(t, r.ID); r.Status != "completed" || *r.Output != "Here I am." {
		t.Errorf("the run is %s: %s", r.Status, last(events).Data)
	}
	if n := s.Model.Stats().Requests; n != 2 {
		t.Errorf("%d requests to the model", n)
	}
}

// An error of those behind a gateway is tried again, and never an empty answer.
func TestProvider_ErrorInTheStreamIsNoAnswer(t *testing.T) {
	t.Parallel()
	wire := func(events ...string) fakellm.Rule {
		return fakellm.Rule{Times: 1, Reply: fakellm.Reply{Wire: &fakellm.Wire{Body: fakellm.Events(events...)}}}
	}
	s := harness.NewSystem(t,
		wire(`{"error":{"message":"upstream is busy","code":503}}`, "[DONE]"), wire("[DONE]"), wire(`{"detail":"worker died"}`, "[DONE]"),
		fakellm.Rule{Reply: says("At last.")})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello", "timeout_seconds": 120}`)
	events := wholeLog(t, x, r.ID)
	if r = x.FindRun(t, r.ID); r.Status != "completed" || *r.Output != "At last." {
		t.Errorf("the run is %s: %s", r.Status, last(events).Data)
	}
	if n := s.Model.Stats().Requests; n != 4 {
		t.Errorf("%d requests to the model", n)
	}
}

// A model may use one id for every call of every step: what goes back has none that repeats.
func TestProvider_RepeatedToolCallIDsAreMadeUnique(t *testing.T) {
	t.Parallel()
	again := fakellm.Reply{ToolCalls: []fakellm.ToolCall{
		{ID: "call_0", Name: "calculator", Arguments: `{"expression":"6*7"}`}, {ID: "call_0", Name: "calculator", Arguments: `{"expression":"6*8"}`},
	}}
	s := harness.NewSystemWith(t, fakellm.Options{Strict: true, KeepBodies: true, Default: says("42 and 48."), Rules: []fakellm.Rule{{Times: 2, Reply: again}}})
	x := s.Start(t, harness.All).NewTenant(t, withTools("calculator"))
	r := x.StartRun(t, `{"input": "compute"}`)
	events := wholeLog(t, x, r.ID)
	if r = x.FindRun(t, r.ID); r.Status != "completed" || *r.Output != "42 and 48." {
		t.Fatalf("the run is %s: %s", r.Status, last(events).Data)
	}
	results := map[string]int{}
	for _, e := range only(events, event.ToolCallCompleted) {
		results[harness.Payload[event.ToolCompleted](t, e).Result]++
	}
	if results["42"] != 2 || results["48"] != 2 {
		t.Errorf("the results are %v", results)
	}
}
