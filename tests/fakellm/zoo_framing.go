package fakellm

import "strings"

const docsEvents = "https://html.spec.whatwg.org/multipage/server-sent-events.html"

// zooFraming is how events are put on the wire, and how streams end, or do not.
func zooFraming() []Scenario {
	wire := func(name, source string, want Outcome, then Then, body ...string) Scenario {
		return Scenario{Name: name, Source: source, Format: "openai", Reply: Reply{Wire: &Wire{Body: body, Then: then, Heartbeat: ": heartbeat\n\n"}}, Want: want}
	}
	whole := strings.Join(Events(word("Hi"), end("stop"), tokens(12, 3), done), "")
	ends := func(lineEnd string) string { return strings.ReplaceAll(whole, "\n", lineEnd) }
	return []Scenario{
		wire("lines end in CR", docsEvents, said("Hi", "stop"), ThenEnd, ends("\r")),
		wire("lines end in CR LF, cut in between", docsEvents, said("Hi", "stop"), ThenEnd, strings.SplitAfter(ends("\r\n"), "\r")...),
		wire("lines end in CR and the connection stays open", docsEvents, said("Hi", "stop"), ThenSilence, ends("\r")),
		wire("a byte at a time", docsEvents, said("Hi", "stop"), ThenEnd, strings.Split(whole, "")...),
		wire("a byte order mark, no space, fields that nobody knows", docsEvents, said("Hi", "stop"), ThenEnd,
			"\xEF\xBB\xBFretry: 1000\nid: 7\n"+strings.ReplaceAll(whole, "data: ", "data:")),
		wire("one event over two lines of data", docsEvents, said("Hi", "stop"), ThenEnd,
			"data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"Hi\"}}]}\n\n", strings.Join(Events(end("stop"), tokens(12, 3), done), "")),
		wire("the last event without its blank line", "https://github.com/openai/openai-python/issues/1266", said("Hi", "stop"), ThenEnd, strings.TrimSuffix(whole, "\n\n")),
		wire("the last event is the reason, without its blank line", docsEvents, uncounted("Hi", "stop"), ThenEnd,
			strings.TrimSuffix(strings.Join(Events(word("Hi"), end("stop")), ""), "\n\n")),
		wire("cut in the middle of an event", docsEvents, Outcome{Text: "Hi", Class: "overloaded", Detail: "broke off"}, ThenCut,
			Events(word("Hi"))[0], `data: {"choices":[{"index":0,"delta":{"content":"lo`),
		wire("the end of the file in the middle of an event", docsEvents, Outcome{Text: "Hi", Class: "overloaded", Detail: "broke off"}, ThenEnd,
			Events(word("Hi"))[0], `data: {"choices":[{"index":0,"delta":{"content":"lo`),
		wire("cut after the reason", docsOpenAI, uncounted("Hi", "stop"), ThenCut, Events(word("Hi"), end("stop"))...),
		wire("gemini: a reason with every piece, and cut", "https://github.com/songquanpeng/one-api/issues/1408",
			Outcome{Text: "Hello again", Class: "overloaded", Detail: "broke off"}, ThenCut, Events(both(`{"content":"Hello"}`, "stop"), both(`{"content":" again"}`, "stop"))...),
		wire("gemini: a reason with every piece, and no end", "https://github.com/songquanpeng/one-api/issues/1408",
			uncounted("Hello again", "stop"), ThenHeartbeats, Events(both(`{"content":"Hello"}`, "stop"), both(`{"content":" again"}`, "stop"))...),
		wire("cut before the reason", docsOpenAI, Outcome{Text: "Hi", Class: "overloaded", Detail: "broke off"}, ThenCut, Events(word("Hi"))...),
		wire("no end, only heartbeats after the reason", "https://github.com/tombii/better-ccflare/pull/307", uncounted("Hi", "stop"), ThenHeartbeats,
			Events(word("Hi"), end("stop"))...),
		wire("no end, only heartbeats after reason and usage", "https://github.com/tombii/better-ccflare/pull/307", said("Hi", "stop"), ThenHeartbeats,
			Events(word("Hi"), end("stop"), tokens(12, 3))...),
		wire("no end, silence after a reason that came with text", docsOpenAI, uncounted("Hi", "length"), ThenSilence, Events(both(`{"content":"Hi"}`, "length"))...),
		wire("the connection stays open after the end", "https://github.com/earendil-works/pi/issues/5592", said("Hi", "stop"), ThenHeartbeats, whole),
		wire("only heartbeats", "https://openrouter.ai/docs/api/reference/streaming", Outcome{Class: "timeout", Detail: "nothing of its answer"}, ThenHeartbeats),
		wire("only heartbeats after some text", "https://openrouter.ai/docs/api/reference/streaming",
			Outcome{Text: "Hi", Class: "timeout", Detail: "nothing of its answer"}, ThenHeartbeats, Events(word("Hi"))...),
		{
			Name: "heartbeats as empty pieces", Source: "https://openrouter.ai/docs/api/reference/streaming", Format: "openai",
			Reply: Reply{Wire: &Wire{Then: ThenHeartbeats, Heartbeat: Events(chunk(`{"role":"assistant","content":""}`))[0]}},
			Want:  Outcome{Class: "timeout", Detail: "nothing of its answer"},
		},
		wire("silence", docsOpenAI, Outcome{Class: "timeout", Detail: "no byte"}, ThenSilence),
		{
			Name: "the content type is missing or plain text", Source: "https://github.com/huggingface/text-generation-inference/issues/1782", Format: "openai",
			Reply: Reply{Wire: &Wire{Type: "text/plain; charset=utf-8", Body: []string{whole}}}, Want: said("Hi", "stop"),
		},
		{
			Name: "a web page instead of a stream", Source: docsOpenAI, Format: "openai",
			Reply: Reply{Wire: &Wire{Type: "text/html", Body: []string{"<html>Welcome</html>"}}}, Want: Outcome{Class: "bad_request", Detail: "event stream", Hidden: "<html>"},
		},
	}
}
