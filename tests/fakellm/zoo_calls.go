package fakellm

const docsCalls = "https://platform.openai.com/docs/guides/function-calling#streaming"

func called(calls ...ToolCall) Outcome {
	return Outcome{Calls: calls, Reason: "tool_calls", Usage: Usage{Input: 12, Output: 3}}
}

// zooCalls is how tool calls are cut into pieces, named and numbered.
func zooCalls() []Scenario {
	one, two := ToolCall{ID: "a", Name: "one", Arguments: `{"x":1}`}, ToolCall{ID: "b", Name: "two", Arguments: `{"y":2}`}
	any := func(c ToolCall) ToolCall { c.ID = ""; return c }
	rest := []string{end("tool_calls"), tokens(12, 3), done}
	scenario := func(name, source string, want Outcome, events ...string) Scenario {
		return openAIWire(name, source, want, append(events, rest...)...)
	}
	return []Scenario{
		scenario("openai: two calls, their pieces mixed", docsCalls, called(one, two),
			calling(call("0", `"a"`, `{"name":"one","arguments":""}`)), calling(call("1", `"b"`, `{"name":"two","arguments":"{\"y\""}`)),
			calling(call("0", "", `{"arguments":"{\"x\":1}"}`), call("1", "", `{"arguments":":2}"}`))),
		scenario("litellm: numbers begin with one, pieces repeat the type", "https://github.com/BerriAI/litellm/issues/11407", called(one),
			chunk(`{"content":"","role":"assistant","tool_calls":[{"id":"a","function":{"arguments":"","name":"one"},"type":"function","index":1}]}`),
			calling(call("1", "", `{"arguments":""}`)), calling(call("1", "", `{"arguments":"{\"x\":"}`)), calling(call("1", "", `{"arguments":"1}"}`))),
		scenario("ollama: whole calls without numbers", "https://github.com/ollama/ollama/issues/7881", called(one, two),
			calling(call("", `"a"`, `{"name":"one","arguments":"{\"x\":1}"}`)), calling(call("", `"b"`, `{"name":"two","arguments":"{\"y\":2}"}`))),
		scenario("whole calls that all have the number 0", "https://github.com/ollama/ollama/issues/7881", called(one, two),
			calling(call("0", `"a"`, `{"name":"one","arguments":"{\"x\":1}"}`)), calling(call("0", `"b"`, `{"name":"two","arguments":"{\"y\":2}"}`))),
		scenario("neither numbers nor ids", "https://github.com/vllm-project/vllm/issues/18412", called(any(one), any(two)),
			calling(call("", "", `{"name":"one","arguments":"{\"x\":1}"}`), call("", "", `{"name":"two","arguments":"{\"y\":2}"}`))),
		scenario("ids are null or empty", "https://github.com/vllm-project/vllm/issues/18412", called(any(one)),
			calling(call("0", `null`, `{"name":"one","arguments":""}`)), calling(call("0", `""`, `{"name":null,"arguments":"{\"x\":1}"}`))),
		scenario("two calls with the same id and different numbers", "https://docs.mistral.ai/capabilities/function_calling", called(one, any(two)),
			calling(call("0", `"a"`, `{"name":"one","arguments":"{\"x\":1}"}`)), calling(call("1", `"a"`, `{"name":"two","arguments":"{\"y\":2}"}`))),
		scenario("two calls with the same id and the same number", "https://github.com/ollama/ollama/issues/7881", called(one, any(two)),
			calling(call("0", `"a"`, `{"name":"one","arguments":"{\"x\":1}"}`)), calling(call("0", `"a"`, `{"name":"two","arguments":"{\"y\":2}"}`))),
		scenario("the same tool twice with the same id, without numbers", "https://github.com/ollama/ollama/issues/7881",
			called(one, ToolCall{Name: "one", Arguments: `{"x":2}`}),
			calling(call("", `"a"`, `{"name":"one","arguments":"{\"x\":1}"}`)), calling(call("", `"a"`, `{"name":"one","arguments":"{\"x\":2}"}`))),
		scenario("id and name with every piece", "https://github.com/sgl-project/sglang/issues/2429", called(one),
			calling(call("0", `"a"`, `{"name":"one","arguments":"{\"x\""}`)), calling(call("0", `"a"`, `{"name":"one","arguments":":1}"}`))),
		scenario("the whole call once more at the end", "https://github.com/QuantumNous/new-api/issues/378", called(one),
			calling(call("0", `"a"`, `{"name":"one","arguments":"{\"x\":"}`)), calling(call("0", "", `{"arguments":"1}"}`)),
			calling(call("0", `"a"`, `{"name":"one","arguments":"{\"x\":1}"}`))),
		scenario("arguments as an object", "https://github.com/ollama/ollama/blob/main/docs/api.md#chat-request-with-tools", called(one),
			calling(call("0", `"a"`, `{"name":"one","arguments":{"x":1}}`))),
		scenario("arguments null", docsCalls, called(ToolCall{ID: "a", Name: "one", Arguments: `{}`}),
			calling(call("0", `"a"`, `{"name":"one","arguments":null}`))),
		scenario("the calls as one object, the number as text", docsCalls, called(one),
			chunk(`{"tool_calls":{"index":"0","id":"a","function":{"name":"one","arguments":"{\"x\":1}"}}}`)),
		scenario("no member function", docsCalls, called(one), chunk(`{"tool_calls":[{"index":0,"id":"a","name":"one","arguments":"{\"x\":1}"}]}`)),
		openAIWire("the format before tools: function_call", "https://platform.openai.com/docs/deprecations", called(any(one)),
			chunk(`{"role":"assistant","content":null,"function_call":{"name":"one","arguments":""}}`),
			chunk(`{"function_call":{"arguments":"{\"x\":1}"}}`), end("function_call"), tokens(12, 3), done),
		openAIWire("gemini: the reason is stop although a tool is called", "https://github.com/googleapis/python-genai/issues/2868", called(any(one)),
			`{"choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"function":{"arguments":"{\"x\":1}","name":"one"},"id":"","type":"function"}]},`+
				`"finish_reason":"stop"}],"created":1,"model":"m-1"}`, tokens(12, 3), done),
		openAIWire("litellm: a signature of thoughts in the id", "https://docs.litellm.ai/docs/providers/gemini",
			called(ToolCall{ID: "call_1__thought__" + longSignature, Name: "one", Arguments: `{"x":1}`}),
			calling(call("0", `"call_1__thought__`+longSignature+`"`, `{"name":"one","arguments":"{\"x\":1}"}`)), end("tool_calls"), tokens(12, 3), done),
		openAIWire("a call cut by the limit of tokens", docsCalls, Outcome{Unfinished: []string{"one"}, Reason: "length", Usage: Usage{Input: 12, Output: 3}},
			calling(call("0", `"a"`, `{"name":"one","arguments":"{\"x\":"}`)), end("length"), tokens(12, 3), done),
		openAIWire("a call cut before its arguments began", docsCalls, Outcome{Unfinished: []string{"one"}, Reason: "length", Usage: Usage{Input: 12, Output: 3}},
			calling(call("0", `"a"`, `{"name":"one","arguments":""}`)), end("length"), tokens(12, 3), done),
		openAIWire("one call whole, the next cut by the filter", docsCalls, Outcome{
			Calls: []ToolCall{one}, Unfinished: []string{"two"}, Reason: "content_filter", Usage: Usage{Input: 12, Output: 3},
		}, calling(call("0", `"a"`, `{"name":"one","arguments":"{\"x\":1}"}`)), calling(call("1", `"b"`, `{"name":"two","arguments":"{\"y"}`)),
			end("content_filter"), tokens(12, 3), done),
		scenario("a call without a name", docsCalls, Outcome{Unfinished: []string{""}, Reason: "tool_calls", Usage: Usage{Input: 12, Output: 3}},
			calling(call("0", `"a"`, `{"arguments":"{}"}`))),
		scenario("a character split in the arguments", docsCalls, called(ToolCall{ID: "a", Name: "one", Arguments: `{"q":"😀"}`}),
			calling(call("0", `"a"`, `{"name":"one","arguments":"{\"q\":\"\ud83d"}`)), calling(call("0", "", `{"arguments":"\ude00\"}"}`))),
	}
}

// longSignature is longer than the ids that OpenAI makes.
const longSignature = "CiQB4/H/XsukxAm+/aLb9ZrqLvJTpGc1Zq9ZK3fLAAAbase64+/==CiQB4/H/XsukxAm+/aLb9ZrqLvJTpGc1Zq9ZK3fLAAAbase64+/=="
