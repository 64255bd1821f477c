package integration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// unstorable are tool calls that Postgres, or the engine, would refuse as the model wrote them; each with a part of
// what the model is told.
func unstorable() map[string]struct {
	call fakellm.ToolCall
	told string
} {
	arguments := func(text string) fakellm.ToolCall { return fakellm.ToolCall{Name: "calculator", Arguments: text} }
	type entry = struct {
		call fakellm.ToolCall
		told string
	}
	return map[string]entry{
		"NUL in an argument":           {arguments(`{"expression":"1\u0000"}`), "U+0000"},
		"NUL in an argument's name":    {arguments(`{"expression":"1+1","\u0000":1}`), "calculator"},
		"half of a surrogate pair":     {arguments(`{"expression":"1\ud83d"}`), "surrogate"},
		"surrogates in reverse":        {arguments(`{"expression":"\ude00\ud83d"}`), "surrogate"},
		"a number out of range":        {arguments(`{"n":1e999999}`), "number"},
		"a number that is too small":   {arguments(`{"expression":"1","n":1e-999999}`), "calculator"},
		"a zero with many places":      {arguments(`{"expression":0e-999999}`), "calculator"},
		"deep nesting":                 {arguments(`{"expression":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`), "calculator"},
		"a raw NUL":                    {arguments("{\"expression\":\"1\x00\"}"), "U+0000"},
		"long arguments":               {arguments(`{"expression":"` + strings.Repeat("1+", 1<<20) + `1"}`), "at most"},
		"NUL in the tool's name":       {fakellm.ToolCall{Name: "calcu\x00lator", Arguments: `{}`}, "no tool named"},
		"a long name":                  {fakellm.ToolCall{Name: strings.Repeat("<é>", 2000), Arguments: `{}`}, "no tool named"},
		"control characters in a name": {fakellm.ToolCall{Name: strings.Repeat("\x01", 64), Arguments: `{}`}, "no tool named"},
		"NUL in the call's id":         {fakellm.ToolCall{ID: "call\x00\u0001", Name: "calculator", Arguments: `{"expression":"6*7"}`}, ""},
		"a long id":                    {fakellm.ToolCall{ID: strings.Repeat("i", 100_000), Name: "calculator", Arguments: `{"expression":"6*7"}`}, ""},
	}
}

func TestToolCall_UnstorableContentIsExplainedToTheModel(t *testing.T) {
	t.Parallel()
	var rules []fakellm.Rule
	for name, u := range unstorable() {
		rules = append(rules,
			fakellm.Rule{Contains: "<" + name + ">", Turn: fakellm.FirstTurn, Reply: fakellm.Reply{Text: "Let me\x00 see.", ToolCalls: []fakellm.ToolCall{u.call}}},
			fakellm.Rule{Contains: "<" + name + ">", Turn: fakellm.AfterTools, Reply: says("I see\x00.")})
	}
	s := harness.NewSystemWith(t, fakellm.Options{Rules: rules, KeepBodies: true})
	s.Config.Models.AnthropicKey, s.Config.Models.AnthropicBaseURL = s.Config.Models.OpenAIKey, s.Model.URL
	p := s.Start(t, harness.All)
	for _, format := range []string{"openai/m", "anthropic/m"} {
		config := withTools("calculator")
		config.Model = format
		x := p.NewTenant(t, config)
		for name, u := range unstorable() {
			t.Run(format+"/"+name, func(t *testing.T) {
				t.Parallel()
				r := x.StartRun(t, map[string]any{"input": format + " <" + name + ">", "timeout_seconds": 60})
				events := wholeLog(t, x, r.ID)
				if r = x.FindRun(t, r.ID); r.Status != "completed" || *r.Output != "I see\uFFFD." {
					t.Fatalf("the run is %s: %s", r.Status, last(events).Data)
				}
				done := only(events, event.ToolCallCompleted)
				if len(done) != 1 {
					t.Fatalf("%d tool calls ended", len(done))
				}
				said := harness.Payload[event.ToolCompleted](t, done[0])
				if u.told == "" && said.Result != "42" || u.told != "" && !strings.Contains(said.Error, u.told) {
					t.Errorf("the model is told %.300q, %.300q; want %q", said.Result, said.Error, u.told)
				}
				wantAttempts(t, s, format+" <"+name+">")
			})
		}
	}
}

// wantAttempts demands that the model was asked for two turns, each once, in JSON that it can read.
func wantAttempts(t *testing.T, s *harness.System, input string) {
	t.Helper()
	n := 0
	for _, record := range s.Model.Records() {
		if record.LastUser != input {
			continue
		}
		n++
		if !json.Valid(record.Body) || strings.Contains(string(record.Body), `\u0000`) || strings.Contains(string(record.Body), `\ud83d"`) {
			t.Errorf("the provider is sent what it may not read: %.2000s", record.Body)
		}
	}
	if n != 2 {
		t.Errorf("the model was asked %d times, want 2", n)
	}
}

// A human is shown what the model wrote, and may put it right.
func TestApproval_UnstorableArgumentsCanBePutRight(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t,
		fakellm.Rule{Turn: fakellm.FirstTurn, Reply: calls("calculator", `{"expression":"6*7\u0000"}`)},
		fakellm.Rule{Turn: fakellm.AfterTools, Reply: says("Done.")})
	x := s.Start(t, harness.All).NewTenant(t, asking("calculator", 3600))
	for decision, want := range map[string]string{`{"decision": "approve"}`: "U+0000", `{"decision": "approve", "arguments": {"expression": "6*7"}}`: "42"} {
		r, asked, follower := ask(t, x, "compute")
		if got := string(asked.Arguments); got != `"{\"expression\":\"6*7\\u0000\"}"` {
			t.Errorf("the human is shown %s", got)
		}
		x.Do(t, "POST", answerPath(r, asked), json.RawMessage(decision)).Want(t, 200)
		events := follower.Rest(t)
		done := harness.Payload[event.ToolCompleted](t, only(events, event.ToolCallCompleted)[0])
		if last(events).Type != event.RunCompleted || !strings.Contains(done.Result+done.Error, want) {
			t.Errorf("after %s the call gave %q, %q and the run %s", decision, done.Result, done.Error, last(events).Data)
		}
	}
}

// What a body may say in JSON and jsonb cannot hold is the caller's mistake, wherever it stands.
func TestAPI_NumbersThatCannotBeStoredAreRefused(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	places := strings.Repeat("0", 20_000)
	for _, number := range []string{"1e999999", "1e-999999", "0e-999999", "0." + places, "1." + places, "-0." + places + "1", strings.Repeat("9", 5_000)} {
		for _, metadata := range []string{`{"n": ` + number + `}`, `{"a": [{"b": ` + number + `}]}`} {
			problem := x.Do(t, "POST", "/v1/runs", json.RawMessage(`{"input": "hello", "metadata": `+metadata+`}`)).WantProblem(t, 422, "validation_failed")
			if len(problem.Errors) != 1 || !strings.HasPrefix(problem.Errors[0].Field, "metadata.") {
				t.Errorf("%.40s: %+v", metadata, problem.Errors)
			}
		}
	}
}
