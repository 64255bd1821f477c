// Package fakellm is a model server for tests and load runs: a real HTTP server on loopback that
// speaks two wire formats, OpenAI Chat Completions at /v1/chat/completions and Anthropic Messages at
// /v1/messages, both streaming only.
//
// What it answers is a Reply, chosen by the first Rule that fits the request; how it behaves on the
// wire (pace, failures, cuts, hangs) is part of the reply. What happened is read from Stats and
// Records, and waited for with the Wait functions, so that no test has to sleep:
//
//	server := fakellm.Start(fakellm.Options{Rules: []fakellm.Rule{
//		{Contains: "weather", Turn: fakellm.FirstTurn, Reply: fakellm.Reply{
//			ToolCalls: []fakellm.ToolCall{{Name: "weather", Arguments: `{"city":"Ambon"}`}}}},
//		{Contains: "weather", Turn: fakellm.AfterTools, Reply: fakellm.Reply{Text: "Sunny."}},
//	}})
//	defer server.Close()
//
// With Reply.Gated nothing is sent until the test says Release(n).
package fakellm
