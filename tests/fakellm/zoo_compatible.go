package fakellm

const (
	docsMistral  = "https://docs.mistral.ai/capabilities/reasoning"
	docsDeepSeek = "https://api-docs.deepseek.com/guides/reasoning_model"
)

// zooCompatible is what else servers of the format put into their pieces: parts with types, thoughts, split characters
// and odd counts.
func zooCompatible() []Scenario {
	return []Scenario{
		openAIWire("mistral: parts with types, thoughts among them", "https://github.com/BerriAI/litellm/issues/16272", Outcome{
			Text: "It is 42.", Reason: "stop", Usage: Usage{Input: 12, Output: 3}, Hidden: "secret thought",
		}, chunk(`{"role":"assistant","content":""}`),
			chunk(`{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a secret thought"}]}]}`),
			chunk(`{"content":[{"type":"thinking","thinking":[],"closed":true},{"type":"text","text":"It is"}]}`), word(" 42."),
			end("stop"), tokens(12, 3), done),
		openAIWire("mistral: references between texts", "https://docs.mistral.ai/capabilities/citations", said("See it.", "stop"),
			chunk(`{"content":[{"type":"text","text":"See"},{"type":"reference","reference_ids":[1,2]},{"type":"text","text":" it."}]}`),
			end("stop"), tokens(12, 3), done),
		openAIWire("content as one part, as strings and as a number", docsMistral, said("ab7", "stop"),
			chunk(`{"content":{"type":"text","text":"a"}}`), chunk(`{"content":["b"]}`), chunk(`{"content":7}`), end("stop"), tokens(12, 3), done),
		openAIWire("content of parts that nobody knows", docsMistral, said("ok", "stop"),
			chunk(`{"content":[{"type":"hologram","data":"AAAA"},{"type":"text","text":{"value":"ok","annotations":[]}}]}`), end("stop"), tokens(12, 3), done),
		openAIWire("mistral: model_length", "https://docs.mistral.ai/api", said("Half", "length"), word("Half"), end("model_length"), tokens(12, 3), done),
		openAIWire("mistral: the reason is error", "https://docs.mistral.ai/api", Outcome{Text: "Half", Class: "overloaded"}, word("Half"), end("error"), done),
		openAIWire("deepseek: thoughts in a member of their own", docsDeepSeek, Outcome{
			Text: "42", Reason: "stop", Usage: Usage{Input: 12, Output: 3}, Hidden: "let me think",
		}, chunk(`{"role":"assistant","content":null,"reasoning_content":"let me think"}`), chunk(`{"content":"42","reasoning_content":null}`),
			end("stop"), tokens(12, 3), done),
		openAIWire("deepseek: out of resources in the middle", "https://api-docs.deepseek.com/api/create-chat-completion",
			Outcome{Text: "Half", Class: "overloaded"}, word("Half"), end("insufficient_system_resource"), tokens(12, 3), done),
		{
			Name: "deepseek: comments while the request waits", Source: "https://api-docs.deepseek.com/quick_start/rate_limit", Format: "openai",
			Reply: Reply{Wire: &Wire{Body: append([]string{": keep-alive\n\n", ": keep-alive\n\n"}, Events(word("Hi"), end("stop"), tokens(12, 3), done)...)}},
			Want:  said("Hi", "stop"),
		},
		openAIWire("openrouter: thoughts twice under two names", "https://openrouter.ai/docs/use-cases/reasoning-tokens", Outcome{
			Text: "42", Reason: "stop", Usage: Usage{Input: 12, Output: 3}, Hidden: "hmm",
		}, chunk(`{"content":"","reasoning":"hmm","reasoning_details":[{"type":"reasoning.text","text":"hmm"}]}`), word("42"), end("stop"), tokens(12, 3), done),
		openAIWire("gemini: a reason with every piece", "https://github.com/songquanpeng/one-api/issues/1408", said("Hello again", "stop"),
			both(`{"content":"Hello"}`, "stop"), both(`{"content":" again"}`, "stop"), tokens(12, 3), done),
		openAIWire("gemini: thoughts with a reason before the text", "https://github.com/su-kaka/gcli2api/issues/403", said("42", "stop"),
			both(`{"reasoning_content":"multiply"}`, "stop"), both(`{"content":"42"}`, "stop"), tokens(12, 3), done),
		openAIWire("gemini: thinking is counted in the total alone", "https://ai.google.dev/gemini-api/docs/openai", Outcome{
			Text: "42", Reason: "stop", Usage: Usage{Input: 12, Output: 88},
		}, word("42"), end("stop"), `{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":100}}`, done),
		openAIWire("gemini: a malformed call and nothing else", "https://ai.google.dev/api/generate-content#FinishReason", Outcome{
			Reason: "malformed_function_call", Usage: Usage{Input: 12, Output: 3},
		}, chunk(`{"role":"assistant"}`), end("malformed_function_call"), tokens(12, 3), done),
		openAIWire("vllm: a running total with every piece", "https://github.com/vllm-project/vllm/issues/5708", said("Hi there", "stop"),
			`{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":{"prompt_tokens":12,"completion_tokens":1,"total_tokens":13}}`,
			`{"choices":[{"index":0,"delta":{"content":" there"},"finish_reason":null}],"usage":{"prompt_tokens":12,"completion_tokens":2,"total_tokens":14}}`,
			end("stop"), tokens(12, 3), done),
		openAIWire("vllm: the request was aborted", "https://github.com/vllm-project/vllm/blob/main/vllm/v1/request.py",
			Outcome{Text: "Half", Class: "overloaded"}, word("Half"), end("abort"), done),
		openAIWire("foundry local: pieces are numbered as choices, and come twice", "https://github.com/microsoft/foundry-local/issues/144", uncounted(", maybe", "stop"),
			`{"model":null,"choices":[{"delta":{"content":","},"message":{"content":","},"index":197,"finish_reason":null}],"error":null,"usage":null}`,
			`{"model":null,"choices":[{"delta":{"content":" maybe"},"message":{"content":" maybe"},"index":198,"finish_reason":"stop"}],"error":null}`, done),
		openAIWire("a whole message instead of pieces", "https://github.com/BerriAI/litellm/issues/1571", said("All at once", "stop"),
			`{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"All at once"},"finish_reason":"stop"}],`+
				`"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}`, done),
		openAIWire("the whole message once more at the end", "https://github.com/BerriAI/litellm/issues/1571", said("Once", "stop"), word("Once"),
			`{"choices":[{"index":0,"message":{"role":"assistant","content":"Once"},"finish_reason":"stop"}]}`, tokens(12, 3), done),
		openAIWire("the older format: text instead of delta", "https://platform.openai.com/docs/api-reference/completions", said("Old", "stop"),
			`{"object":"text_completion","choices":[{"text":"Old","index":0,"finish_reason":null}]}`, end("stop"), tokens(12, 3), done),
		openAIWire("moonshot: usage inside the choice", "https://platform.moonshot.ai/docs/api/chat", said("Hi", "stop"), word("Hi"),
			`{"choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}]}`, done),
		openAIWire("groq: usage in a member of its own", "https://console.groq.com/docs/api-reference#chat-create", said("Hi", "stop"), word("Hi"),
			`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}}`, done),
		openAIWire("tokens under Anthropic's names", "https://docs.litellm.ai/docs/completion/usage", said("Hi", "stop"), word("Hi"), end("stop"),
			`{"choices":[],"usage":{"input_tokens":12,"output_tokens":3}}`, done),
		openAIWire("tokens as text and as fractions", "https://docs.litellm.ai/docs/completion/usage", said("Hi", "stop"), word("Hi"), end("stop"),
			`{"choices":[],"usage":{"prompt_tokens":"12","completion_tokens":3.0}}`, done),
		openAIWire("negative counts", docsOpenAI, uncounted("Hi", "stop"), word("Hi"), end("stop"),
			`{"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":-50,"total_tokens":-51}}`, done),
		openAIWire("absurd counts", docsOpenAI, uncounted("Hi", "stop"), word("Hi"), end("stop"),
			`{"choices":[],"usage":{"prompt_tokens":9223372036854775807,"completion_tokens":1e300,"total_tokens":1e999}}`, done),
		openAIWire("a report of zeros after the true one", "https://github.com/BerriAI/litellm/issues/9657", said("Hi", "stop"), word("Hi"), end("stop"), tokens(12, 3),
			tokens(0, 0), done),
		openAIWire("a pair of surrogates split over two pieces", "https://www.rfc-editor.org/rfc/rfc8259#section-7", said("a😀b", "stop"),
			chunk(`{"content":"a\ud83d"}`), chunk(`{"content":"\ude00b"}`), end("stop"), tokens(12, 3), done),
		openAIWire("a surrogate that stays alone", "https://www.rfc-editor.org/rfc/rfc8259#section-8.2", said("a\uFFFDb\uFFFD", "stop"),
			chunk(`{"content":"a\ud83d"}`), chunk(`{"content":"b\ude00"}`), end("stop"), tokens(12, 3), done),
		openAIWire("the bytes of a character split over two pieces", "https://github.com/ggml-org/llama.cpp/issues/2295", said("€uro", "stop"),
			"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xe2\x82\"}}]}", "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xacuro\"}}]}",
			end("stop"), tokens(12, 3), done),
		openAIWire("the bytes of a character over three pieces, the last is missing", "https://github.com/ggml-org/llama.cpp/issues/2295", said("x\uFFFD", "stop"),
			"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\xf0\"}}]}", "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\x9f\"}}]}",
			"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\x98\"}}]}", end("stop"), tokens(12, 3), done),
	}
}
