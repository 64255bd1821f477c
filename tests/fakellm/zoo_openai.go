package fakellm

const (
	docsOpenAI = "https://platform.openai.com/docs/api-reference/chat-streaming"
	docsAzure  = "https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter"
)

// said is the outcome of an answer of text with the usual usage.
func said(text, reason string) Outcome {
	return Outcome{Text: text, Reason: reason, Usage: Usage{Input: 12, Output: 3}}
}

// uncounted is said without a report of usage.
func uncounted(text, reason string) Outcome { return Outcome{Text: text, Reason: reason} }

// zooOpenAI is how OpenAI and Azure answer, and what they say about why a model stopped.
func zooOpenAI() []Scenario {
	return []Scenario{
		openAIWire("openai: text, usage in a chunk of its own", docsOpenAI, said("Hello there", "stop"),
			chunk(`{"role":"assistant","content":"","refusal":null}`), word("Hello"), word(" there"), end("stop"), tokens(12, 3), done),
		openAIWire("openai: usage null with every chunk until the last", docsOpenAI, said("Hi", "stop"),
			`{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}`,
			`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}`, tokens(12, 3), done),
		openAIWire("openai: cut by the limit of tokens", docsOpenAI, said("Once upon a", "length"), word("Once upon a"), end("length"), tokens(12, 3), done),
		openAIWire("openai: all tokens went into thinking", "https://platform.openai.com/docs/guides/reasoning",
			Outcome{Reason: "length", Usage: Usage{Input: 12, Output: 100}}, chunk(`{"role":"assistant","content":""}`), end("length"), tokens(12, 100), done),
		openAIWire("openai: cut by the content filter", docsOpenAI, said("Take two", "content_filter"), word("Take two"), end("content_filter"), tokens(12, 3), done),
		openAIWire("openai: a refusal in its own member, reason stop", "https://platform.openai.com/docs/guides/structured-outputs#refusals",
			said("I cannot help with that.", "content_filter"), chunk(`{"role":"assistant","refusal":"I cannot help"}`),
			chunk(`{"refusal":" with that."}`), end("stop"), tokens(12, 3), done),
		openAIWire("openai: an empty answer that is done", docsOpenAI, Outcome{Reason: "stop", Usage: Usage{Input: 12, Output: 1}},
			chunk(`{"role":"assistant","content":""}`), end("stop"), tokens(12, 1), done),
		openAIWire("openai: the account is spent, said in the stream", docsOpenAI, Outcome{Class: "authentication", Detail: "exceeded your current quota"},
			`{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, done),
		openAIWire("openai: a server error in the middle", docsOpenAI, Outcome{Text: "Half", Class: "overloaded", Detail: "had an error"},
			word("Half"), `{"error":{"message":"The server had an error while processing your request","type":"server_error","param":null,"code":null}}`),
		openAIWire("openai: obfuscation beside the delta", docsOpenAI, said("Hi", "stop"),
			`{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"obfuscation":"Xp3"}`, end("stop"), tokens(12, 3), done),
		openAIWire("azure: the first chunk has no choices", "https://github.com/AbanteAI/archive-old-cli-mentat/issues/429", said("Hi", "stop"),
			`{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}`,
			word("Hi"), end("stop"), tokens(12, 3), done),
		openAIWire("azure: a choice without delta annotates the text", "https://github.com/langchain-ai/langchain/issues/18977", said("Hi", "stop"),
			word("Hi"), end("stop"),
			`{"id":"","object":"","created":0,"model":"","choices":[{"finish_reason":null,"index":0,"content_filter_offsets":{"check_offset":4522}}]}`,
			tokens(12, 3), done),
		openAIWire("azure: the asynchronous filter ends the stream", docsAzure, uncounted("Bad words", "content_filter"), word("Bad words"),
			`{"id":"","choices":[{"index":0,"finish_reason":"content_filter","content_filter_results":{"hate":{"filtered":true,"severity":"high"}}}]}`, done),
		{
			Name: "azure: the prompt was filtered", Source: docsAzure, Format: "openai",
			Reply: Reply{Failure: &Failure{Status: 400, Body: `{"error":{"message":"The response was filtered due to the prompt triggering the policy.",
				"type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}`}},
			Want: Outcome{Class: "bad_request", Detail: "filtered due to the prompt"},
		},
		{
			Name: "azure: an error of the gateway before it", Source: "https://learn.microsoft.com/azure/api-management/api-management-error-handling-policies",
			Format: "openai", Reply: Reply{Failure: &Failure{Status: 429, Body: `{"statusCode":429,"message":"Rate limit is exceeded. Try again in 7 seconds."}`}},
			Want: Outcome{Class: "rate_limited", Detail: "Try again in 7 seconds"},
		},
		openAIWire("two choices although one was asked for", docsOpenAI, said("mine", "stop"), word("mine"),
			`{"choices":[{"index":1,"delta":{"content":"not mine"},"finish_reason":"length"}]}`, end("stop"), tokens(12, 3), done),
		openAIWire("no reason at all before the end", "https://github.com/vllm-project/vllm/issues/27572", said("Hi", "stop"), word("Hi"), tokens(12, 3), done),
		openAIWire("a reason that is in no list", "https://ai.google.dev/api/generate-content#FinishReason", said("Hm", "OTHER"),
			word("Hm"), end("OTHER"), tokens(12, 3), done),
		openAIWire("a reason that is an attack on terminals and screens", docsOpenAI, Outcome{
			Text: "Hm", Reason: "[31mred" + "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", Usage: Usage{Input: 12, Output: 3},
		}, word("Hm"), `{"choices":[{"index":0,"delta":{},"finish_reason":"\u001b[31mr\ned`+
			`xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}]}`, tokens(12, 3), done),
	}
}
