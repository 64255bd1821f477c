package fakellm

import (
	"fmt"
	"slices"
	"strings"
)

const docsAnthropic = "https://docs.anthropic.com/en/docs/build-with-claude/streaming"

// ev is one event of Anthropic's format; data are the members beside its type.
func ev(kind, data string) string {
	if data != "" {
		data = "," + data
	}
	return "event: " + kind + "\ndata: {\"type\":\"" + kind + "\"" + data + "}\n\n"
}

func starting() string {
	return ev("message_start", `"message":{"id":"msg_1","type":"message","role":"assistant","model":"c-1","content":[],"stop_reason":null,`+
		`"usage":{"input_tokens":12,"output_tokens":1}}`)
}

func textBlock(index int, pieces ...string) string {
	out := ev("content_block_start", fmt.Sprintf(`"index":%d,"content_block":{"type":"text","text":""}`, index))
	for _, p := range pieces {
		out += ev("content_block_delta", fmt.Sprintf(`"index":%d,"delta":{"type":"text_delta","text":%s}`, index, p))
	}
	return out + ev("content_block_stop", fmt.Sprintf(`"index":%d`, index))
}

func toolBlock(index int, kind, id, name string, pieces ...string) string {
	out := ev("content_block_start", fmt.Sprintf(`"index":%d,"content_block":{"type":%q,"id":%q,"name":%q,"input":{}}`, index, kind, id, name))
	for _, p := range pieces {
		out += ev("content_block_delta", fmt.Sprintf(`"index":%d,"delta":{"type":"input_json_delta","partial_json":%s}`, index, p))
	}
	return out + ev("content_block_stop", fmt.Sprintf(`"index":%d`, index))
}

func stopping(reason string) string {
	return ev("message_delta", fmt.Sprintf(`"delta":{"stop_reason":%q,"stop_sequence":null},"usage":{"output_tokens":3}`, reason))
}

// zooAnthropic is how Anthropic answers, and those who speak its format.
func zooAnthropic() []Scenario {
	wire := func(name, source string, want Outcome, then Then, body ...string) Scenario {
		return Scenario{
			Name: name, Source: source, Format: "anthropic", Want: want,
			Reply: Reply{Wire: &Wire{Body: body, Then: then, Heartbeat: ev("ping", "")}},
		}
	}
	over := ev("message_stop", "")
	hi := textBlock(0, `"Hi"`)
	one, two := ToolCall{ID: "t1", Name: "one", Arguments: `{"x":1}`}, ToolCall{ID: "t2", Name: "two", Arguments: `{"y":2}`}
	failed := func(name, source, class, detail string, body ...string) Scenario {
		return wire(name, source, Outcome{Class: class, Detail: detail}, ThenEnd, body...)
	}
	scenarios := []Scenario{
		wire("anthropic: text with a ping", docsAnthropic, said("Hello there", "stop"), ThenEnd,
			starting(), ev("ping", ""), textBlock(0, `"Hello"`, `" there"`), stopping("end_turn"), over),
		wire("anthropic: two calls", docsAnthropic, called(one, two), ThenEnd, starting(), toolBlock(0, "tool_use", "t1", "one", `""`, `"{\"x\":"`, `"1}"`),
			toolBlock(1, "tool_use", "t2", "two", `"{\"y\":2}"`), stopping("tool_use"), over),
		wire("anthropic: thoughts and their signature before the text", "https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking", Outcome{
			Text: "42", Reason: "stop", Usage: Usage{Input: 12, Output: 3}, Hidden: "secret thought",
		}, ThenEnd, starting(), ev("content_block_start", `"index":0,"content_block":{"type":"thinking","thinking":"","signature":""}`),
			ev("content_block_delta", `"index":0,"delta":{"type":"thinking_delta","thinking":"a secret thought"}`),
			ev("content_block_delta", `"index":0,"delta":{"type":"signature_delta","signature":"EqQB"}`), ev("content_block_stop", `"index":0`),
			ev("content_block_start", `"index":1,"content_block":{"type":"redacted_thinking","data":"a secret thought"}`), ev("content_block_stop", `"index":1`),
			textBlock(2, `"42"`), stopping("end_turn"), over),
		wire("anthropic: tools that it runs by itself", "https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/web-search-tool", said("Found.", "stop"), ThenEnd,
			starting(), toolBlock(0, "server_tool_use", "s1", "web_search", `"{\"query\":\"x\"}"`),
			ev("content_block_start", `"index":1,"content_block":{"type":"web_search_tool_result","tool_use_id":"s1","content":[]}`), ev("content_block_stop", `"index":1`),
			textBlock(2, `"Found."`), stopping("end_turn"), over),
		wire("anthropic: a call cut by the limit of tokens", docsAnthropic, Outcome{
			Text: "Hi", Unfinished: []string{"one"}, Reason: "length", Usage: Usage{Input: 12, Output: 3},
		}, ThenEnd, starting(), hi, toolBlock(1, "tool_use", "t1", "one", `"{\"x\":"`), stopping("max_tokens"), over),
		wire("anthropic: the same id twice", docsAnthropic, called(one, ToolCall{Name: "two", Arguments: `{"y":2}`}), ThenEnd, starting(),
			toolBlock(0, "tool_use", "t1", "one", `"{\"x\":1}"`), toolBlock(1, "tool_use", "t1", "two", `"{\"y\":2}"`), stopping("tool_use"), over),
		wire("anthropic: the text comes with its block, without names of events", "https://docs.litellm.ai/docs/anthropic_unified", said("Hi", "stop"), ThenEnd,
			strings.ReplaceAll(starting(), "event: message_start\n", ""),
			"data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"Hi\"}}\n\n",
			"data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n", "data: [DONE]\n\n"),
		wire("anthropic: pieces without their block", "https://docs.litellm.ai/docs/anthropic_unified", said("Hi", "stop"), ThenEnd, starting(),
			ev("content_block_delta", `"index":0,"delta":{"type":"text_delta","text":"Hi"}`), stopping("end_turn"), over),
		wire("anthropic: input from the cache counts", "https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching", Outcome{
			Text: "Hi", Reason: "stop", Usage: Usage{Input: 112, Output: 3},
		}, ThenEnd, strings.Replace(starting(), `"input_tokens":12`, `"input_tokens":12,"cache_read_input_tokens":90,"cache_creation_input_tokens":10`, 1),
			hi, stopping("end_turn"), over),
		wire("anthropic: negative and absurd counts", docsAnthropic, uncounted("Hi", "stop"), ThenEnd,
			strings.Replace(starting(), `"input_tokens":12`, `"input_tokens":-12`, 1), hi,
			ev("message_delta", `"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1e18}`), over),
		wire("anthropic: surrogates split over two pieces", docsAnthropic, said("a😀", "stop"), ThenEnd, starting(), textBlock(0, `"a\ud83d"`, `"\ude00"`), stopping("end_turn"), over),
		wire("anthropic: message_stop never comes, only pings", "https://github.com/tombii/better-ccflare/pull/307", said("Hi", "stop"), ThenHeartbeats,
			starting(), hi, stopping("end_turn")),
		wire("anthropic: cut after the reason", docsAnthropic, said("Hi", "stop"), ThenCut, starting(), hi, stopping("end_turn")),
		wire("anthropic: cut before the reason", docsAnthropic, Outcome{Text: "Hi", Class: "overloaded", Detail: "broke off"}, ThenCut, starting(), hi),
		wire("anthropic: the connection stays open after message_stop", "https://github.com/earendil-works/pi/issues/5592", said("Hi", "stop"), ThenHeartbeats,
			starting(), hi, stopping("end_turn"), over),
		wire("anthropic: only pings", docsAnthropic, Outcome{Class: "timeout", Detail: "nothing of its answer"}, ThenHeartbeats, starting()),
		wire("anthropic: lines end in CR, the last blank line is missing", docsEvents, said("Hi", "stop"), ThenEnd,
			strings.TrimSuffix(strings.ReplaceAll(starting()+hi+stopping("end_turn")+over, "\n", "\r"), "\r\r")),
		wire("anthropic: overloaded in the middle", "https://github.com/karthink/gptel/pull/1512", Outcome{Text: "Hi", Class: "overloaded", Detail: "Overloaded"}, ThenEnd,
			starting(), hi, ev("error", `"error":{"details":null,"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"`)),
		failed("anthropic: an error in the other format", "https://github.com/BerriAI/litellm/pull/41826", "rate_limited", "slow down",
			"data: {\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\",\"code\":\"429\"}}\n\n"),
		failed("anthropic: an error in a list", "https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude", "overloaded", "try later",
			"data: [{\"error\":{\"code\":503,\"message\":\"try later\",\"status\":\"UNAVAILABLE\"}}]\n\n"),
		failed("anthropic: start and stop and nothing between", "https://github.com/BerriAI/litellm/issues/20347", "overloaded", "without a word", starting(), over),
		failed("anthropic: plain text instead of JSON", docsAnthropic, "overloaded", "upstream connect error", "event: error\ndata: upstream connect error\n\n"),
	}
	for sent, want := range map[string]string{
		"max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "content_filter", "stop_sequence": "stop", "pause_turn": "pause_turn",
		"compaction": "compaction",
	} {
		scenarios = append(scenarios, wire("anthropic: stop reason "+sent, "https://docs.anthropic.com/en/docs/build-with-claude/handling-stop-reasons", said("Hi", want), ThenEnd,
			starting(), hi, stopping(sent), over))
	}
	slices.SortStableFunc(scenarios, func(a, b Scenario) int { return strings.Compare(a.Name, b.Name) })
	return scenarios
}
