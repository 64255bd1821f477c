package fakellm

import (
	"fmt"
	"slices"
	"strings"
)

// Scenario is one answer as a provider, server or gateway is documented or was seen to send it, written down by hand,
// with the one outcome that is right.
type Scenario struct {
	Name   string
	Source string // where the habit is described
	Format string // "openai" or "anthropic"
	Reply  Reply
	Want   Outcome
}

// Outcome is what a turn must come to, in the words of the llm port.
type Outcome struct {
	Text       string
	Calls      []ToolCall // an empty id stands for any
	Unfinished []string   // the names of the calls that must not be run
	Reason     string
	Usage      Usage // zero of a side: estimated

	Class  string // of the failure; empty: the turn ends well
	Detail string // a part of what the failure says
	Hidden string // must be neither in the text nor in what the failure says
}

// Zoo lists every scenario.
func Zoo() []Scenario {
	return slices.Concat(zooOpenAI(), zooCalls(), zooCompatible(), zooErrors(), zooFraming(), zooAnthropic())
}

// Events makes the body of a stream of Chat Completions: each is the data of an event.
func Events(events ...string) []string {
	body := make([]string, len(events))
	for i, e := range events {
		body[i] = "data: " + e + "\n\n"
	}
	return body
}

func openAIWire(name, source string, want Outcome, events ...string) Scenario {
	return Scenario{Name: name, Source: source, Format: "openai", Reply: Reply{Wire: &Wire{Body: Events(events...)}}, Want: want}
}

const done = "[DONE]"

// chunk is a piece of an answer.
func chunk(delta string) string {
	return `{"id":"c1","object":"chat.completion.chunk","created":1764400000,"model":"m-1","choices":[{"index":0,"delta":` + delta +
		`,"logprobs":null,"finish_reason":null}]}`
}

func word(text string) string { return chunk(fmt.Sprintf(`{"content":%q}`, text)) }

// end is the piece that says why the model stopped.
func end(reason string) string {
	return fmt.Sprintf(`{"id":"c1","object":"chat.completion.chunk","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":%q}]}`, reason)
}

// both is a piece with a reason.
func both(delta, reason string) string {
	return strings.Replace(chunk(delta), `"finish_reason":null`, fmt.Sprintf(`"finish_reason":%q`, reason), 1)
}

func tokens(in, out int) string {
	return fmt.Sprintf(`{"id":"c1","object":"chat.completion.chunk","model":"m-1","choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}`,
		in, out, in+out)
}

func calling(pieces ...string) string {
	return chunk(`{"tool_calls":[` + strings.Join(pieces, ",") + `]}`)
}

// call is a piece of a tool call; id and index are JSON, "" for not sent.
func call(index, id, function string) string {
	out := `{"type":"function","function":` + function
	if index != "" {
		out += `,"index":` + index
	}
	if id != "" {
		out += `,"id":` + id
	}
	return out + "}"
}
