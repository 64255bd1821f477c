package fakellm

const docsOpenRouter = "https://openrouter.ai/docs/api/reference/errors-and-debugging"

// zooErrors is how gateways say inside a stream, and instead of one, that those behind them failed.
func zooErrors() []Scenario {
	failed := func(name, source, class, detail string, events ...string) Scenario {
		return openAIWire(name, source, Outcome{Class: class, Detail: detail}, events...)
	}
	return []Scenario{
		failed("litellm: an error and the end", "https://github.com/BerriAI/litellm/issues/40578", "rate_limited", "queue is full",
			`{"error":{"message":"queue is full","type":"rate_limit_error","code":"429"}}`, done),
		failed("litellm: an error whose message is an error", "https://github.com/BerriAI/litellm/issues/37780", "rate_limited", "slow down",
			`{"error":{"message":"{\"error\": {\"message\": \"slow down\", \"type\": \"requests\", \"code\": 429}}","type":"None","param":"None","code":"500"}}`),
		failed("vllm: object error", "https://github.com/block/goose/pull/8031", "bad_request", "unsupported",
			`{"object":"error","message":"unsupported parameter","type":"BadRequestError","param":null,"code":400}`, done),
		failed("ollama: an error as text", "https://github.com/BerriAI/litellm/issues/33622", "overloaded", "error parsing tool call",
			`{"error":"error parsing tool call: raw='x'"}`, done),
		failed("openrouter: an error beside a choice", docsOpenRouter, "overloaded", "Provider disconnected",
			`{"id":"g","object":"chat.completion.chunk","provider":"x","error":{"code":"server_error","message":"Provider disconnected unexpectedly"},`+
				`"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}`, done),
		failed("openrouter: an error inside the choice", docsOpenRouter, "rate_limited", "busy",
			`{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","error":{"code":429,"message":"busy"}}]}`, done),
		failed("openrouter: the words of the provider are in the metadata", docsOpenRouter, "overloaded", "Provider returned error: the GPU fell off",
			`{"error":{"message":"Provider returned error","code":502,"metadata":{"raw":"{\"error\":{\"message\":\"the GPU fell off\"}}","provider_name":"X"}},"user_id":"u"}`),
		failed("anthropic behind a gateway: type error", "https://github.com/envoyproxy/ai-gateway/pull/2698", "overloaded", "Overloaded",
			`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, done),
		failed("gemini: an error in a list", "https://ai.google.dev/gemini-api/docs/openai", "rate_limited", "Resource has been exhausted",
			`[{"error":{"code":429,"message":"Resource has been exhausted","status":"RESOURCE_EXHAUSTED"}}]`),
		failed("groq: over capacity", "https://console.groq.com/docs/errors", "overloaded", "over_capacity", `{"x_groq":{"id":"r","error":"over_capacity"}}`, done),
		failed("minimax: a status beside no choices", "https://platform.minimax.io/docs/api-reference/text-post", "overloaded", "unknown error",
			`{"choices":null,"base_resp":{"status_code":1000,"status_msg":"unknown error"}}`),
		failed("dashscope: code and message", "https://help.aliyun.com/zh/model-studio/error-code", "rate_limited", "Requests rate limit exceeded",
			`{"code":"Throttling.RateQuota","message":"Requests rate limit exceeded","request_id":"r"}`, done),
		failed("qianfan: error_code and error_msg", "https://cloud.baidu.com/doc/WENXINWORKSHOP/s/tlmyncueh", "overloaded", "Open api qps",
			`{"error_code":18,"error_msg":"Open api qps request limit reached"}`),
		failed("fastapi: a detail", "https://fastapi.tiangolo.com/tutorial/handling-errors/", "overloaded", "engine is dead", `{"detail":"engine is dead"}`, done),
		failed("fastapi: a list of details", "https://fastapi.tiangolo.com/tutorial/handling-errors/", "overloaded", "body.messages: Field required",
			`{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required","input":{}}]}`, done),
		failed("a list of errors", "https://jsonapi.org/format/#errors", "overloaded", "first; second", `{"errors":[{"message":"first"},{"message":"second"}]}`),
		failed("apigee: a fault", "https://docs.apigee.com/api-platform/troubleshoot/runtime/503-service-unavailable", "overloaded", "Spike arrest",
			`{"fault":{"faultstring":"Spike arrest violation","detail":{"errorcode":"policies.ratelimit"}}}`),
		failed("success is false", "https://developers.cloudflare.com/workers-ai/platform/errors/", "overloaded", "no such gateway",
			`{"success":false,"errors":[{"code":2001,"message":"no such gateway"}],"result":null}`),
		failed("a status and words", "https://docs.litellm.ai/docs/exception_mapping", "overloaded", "went away", `{"status":"error","msg":"worker went away"}`, done),
		failed("plain text instead of JSON", "https://www.envoyproxy.io/docs/envoy/latest/faq/debugging/why_is_envoy_sending_internal_responses", "overloaded",
			"upstream request timeout", `upstream request timeout`),
		failed("a piece that is not JSON", docsOpenAI, "overloaded", "not JSON", `{"choices":[{"index":0,`),
		failed("the end and nothing else", "https://github.com/BerriAI/litellm/issues/20347", "overloaded", "without a word", done),
		failed("only empty pieces and the end", "https://github.com/BerriAI/litellm/issues/20347", "overloaded", "without a word",
			chunk(`{"role":"assistant","content":""}`), chunk(`{}`), `{"choices":[]}`, `{}`, done),
		failed("only thoughts and the end", docsDeepSeek, "overloaded", "without a word", chunk(`{"reasoning_content":"hm"}`), done),
		failed("nothing at all", docsOpenAI, "overloaded", "broke off"),
		openAIWire("text, then an error without a reason", "https://github.com/BerriAI/litellm/issues/37780", Outcome{Text: "Half", Class: "overloaded", Detail: "gone"},
			word("Half"), `{"message":"upstream is gone","code":"upstream_error"}`, done),
		openAIWire("a heartbeat as an event, and a notice beside a whole answer", "https://docs.portkey.ai/docs/product/ai-gateway", said("Hi", "stop"),
			`{"type":"ping"}`, `{"type":"heartbeat","message":"still there"}`, `{"message":"served from cache"}`, word("Hi"), end("stop"), tokens(12, 3), done),
		openAIWire("error null, false, empty with every piece", "https://github.com/microsoft/foundry-local/issues/144", said("Hi", "stop"),
			`{"error":null,"choices":[{"index":0,"delta":{"content":"H"}}]}`, `{"error":{},"choices":[{"index":0,"delta":{"content":"i"}}]}`,
			`{"error":"","choices":[]}`, `{"error":false,"choices":[]}`, end("stop"), tokens(12, 3), done),
		openAIWire("an event without choices after the answer", "https://github.com/BerriAI/litellm/issues/32051", said("Hi", "stop"), word("Hi"), end("stop"), tokens(12, 3),
			`{"type":"response.completed","response":{"id":"r","status":"completed"}}`, done),
		openAIWire("the provider's words hold the key", docsOpenAI, Outcome{Class: "authentication", Detail: "[redacted]", Hidden: "sk-live-0123456789"},
			`{"error":{"message":"Incorrect API key provided: sk-live-0123456789","type":"invalid_request_error","code":"invalid_api_key"}}`),
		{
			Name: "an event named error with text", Source: "https://html.spec.whatwg.org/multipage/server-sent-events.html", Format: "openai",
			Reply: Reply{Wire: &Wire{Body: []string{"event: error\ndata: model crashed\n\n"}}}, Want: Outcome{Class: "overloaded", Detail: "model crashed"},
		},
		{
			Name: "a bare JSON error in an event stream", Source: "https://github.com/BerriAI/litellm/issues/20347", Format: "openai",
			Reply: Reply{Wire: &Wire{Body: []string{`{"error":{"message":"no healthy upstream","code":503}}`}}},
			Want:  Outcome{Class: "overloaded", Detail: "no healthy upstream"},
		},
		{
			Name: "gemini: an error in a list instead of a stream", Source: "https://ai.google.dev/gemini-api/docs/openai", Format: "openai",
			Reply: Reply{Failure: &Failure{Status: 400, Body: `[{
				"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}]`}},
			Want: Outcome{Class: "bad_request", Detail: "API key not valid.", Hidden: "{"},
		},
		{
			Name: "mistral: an error whose message is an object", Source: "https://docs.mistral.ai/api", Format: "openai",
			Reply: Reply{Failure: &Failure{Status: 422, Body: `{"object":"error","message":{"detail":[{"type":"missing","loc":["body","model"],"msg":"Field required"}]},
				"type":"invalid_request_error","code":null}`}},
			Want: Outcome{Class: "bad_request", Detail: "body.model: Field required", Hidden: "{"},
		},
		{
			Name: "an error of no known shape", Source: docsOpenAI, Format: "openai",
			Reply: Reply{Failure: &Failure{Status: 500, Body: `[[{"trace":["secret host 10.0.0.7"]}]]`}},
			Want:  Outcome{Class: "overloaded", Detail: "Internal Server Error", Hidden: "10.0.0.7"},
		},
		{
			Name: "a whole answer although a stream was asked for", Source: docsOpenAI, Format: "openai",
			Reply: Reply{Wire: &Wire{Type: "application/json", Body: []string{`{"object":"chat.completion","choices":[{"message":{"content":"hi"}}]}`}}},
			Want:  Outcome{Class: "bad_request", Detail: "event stream", Hidden: "choices"},
		},
	}
}
