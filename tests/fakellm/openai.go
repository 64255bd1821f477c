package fakellm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// openAI is the format of Chat Completions
// (https://platform.openai.com/docs/api-reference/chat-streaming/streaming).
type openAI struct{}

type object = map[string]any

func (openAI) name() string { return "openai" }

func (openAI) check(body []byte) error { return CheckOpenAI(body) }

func (openAI) key(h http.Header) string {
	return strings.TrimPrefix(h.Get("Authorization"), "Bearer ")
}

func (openAI) parse(body []byte) (request, error) {
	var in struct {
		Model    string `json:"model"`
		Stream   bool   `json:"stream"`
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
		StreamOptions struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return request{}, fmt.Errorf("chat completions request: %w", err)
	}
	q := request{model: in.Model, stream: in.Stream, usage: in.StreamOptions.IncludeUsage}
	for _, m := range in.Messages {
		q.afterTools = m.Role == "tool"
		if m.Role == "user" {
			q.lastUser = text(m.Content)
		}
	}
	return q, nil
}

// text reads content that is a string or a list of parts.
func text(content json.RawMessage) string {
	var plain string
	if json.Unmarshal(content, &plain) == nil {
		return plain
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(content, &parts) != nil {
		return ""
	}
	var all []string
	for _, p := range parts {
		if p.Type == "text" {
			all = append(all, p.Text)
		}
	}
	return strings.Join(all, "\n")
}

func (openAI) problem(status int) string {
	kind, code := "invalid_request_error", any(nil)
	switch {
	case status == http.StatusUnauthorized:
		code = "invalid_api_key"
	case status == http.StatusTooManyRequests:
		kind, code = "requests", "rate_limit_exceeded"
	case status >= http.StatusInternalServerError:
		kind = "server_error"
	}
	return marshal(object{"error": object{"message": "fake: " + http.StatusText(status), "type": kind, "param": nil, "code": code}})
}

func (openAI) streamError(object string) string { return "data: " + object + "\n\n" }

func (openAI) pieces(q request, r Reply) (before []string, chunks [][]string, after []string) {
	event := func(choices []object, usage any) string {
		data := object{"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": q.model, "choices": choices}
		if q.usage {
			data["usage"] = usage
		}
		return "data: " + marshal(data) + "\n\n"
	}
	delta := func(d object, finish any) string {
		return event([]object{{"index": 0, "delta": d, "finish_reason": finish}}, nil)
	}
	before = []string{delta(object{"role": "assistant", "content": ""}, nil)}
	for _, thought := range openAIThoughts(r.thoughts, r.thoughtful()) {
		chunks = append(chunks, []string{delta(thought, nil)})
	}
	for _, piece := range r.chunks() {
		chunks = append(chunks, []string{delta(object{"content": piece}, nil)})
	}
	for i, call := range r.ToolCalls {
		for _, piece := range callPieces(i, call, r) {
			chunks = append(chunks, []string{delta(object{"tool_calls": []object{piece}}, nil)})
		}
	}
	finish := r.FinishReason
	if finish == "" {
		finish = "stop"
		if len(r.ToolCalls) > 0 {
			finish = "tool_calls"
		}
	}
	after = []string{delta(object{}, finish)}
	if q.usage && !r.OmitUsage {
		u := r.usage(q)
		after = append(after, event([]object{}, object{
			"prompt_tokens": u.Input, "completion_tokens": u.Output, "total_tokens": u.Input + u.Output,
		}))
	}
	if !r.OmitDone {
		after = append(after, "data: [DONE]\n\n")
	}
	return before, chunks, after
}

// callPieces cuts a call as OpenAI does: id and name first, then the arguments in fragments.
func callPieces(index int, call ToolCall, r Reply) []object {
	head := object{"index": index, "type": "function"}
	if !r.OmitIDs {
		head["id"] = callID(index, call)
		if r.thoughts == SignedIDs {
			head["id"] = signedID(call)
		}
	}
	if r.thoughts == ThoughtSignature && index == 0 {
		head["extra_content"] = object{"google": object{"thought_signature": sign(call.Name, call.Arguments)}}
	}
	if r.WholeToolCalls {
		head["function"] = object{"name": call.Name, "arguments": call.Arguments}
		return []object{head}
	}
	head["function"] = object{"name": call.Name, "arguments": ""}
	pieces := []object{head}
	for _, fragment := range halves(call.Arguments) {
		pieces = append(pieces, object{"index": index, "function": object{"arguments": fragment}})
	}
	return pieces
}

func callID(index int, call ToolCall) string {
	if call.ID != "" {
		return call.ID
	}
	return fmt.Sprintf("call_fake_%d", index)
}

func halves(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s[:len(s)/2], s[len(s)/2:]}
}

// usage is what the script says, or a count of words.
func (r Reply) usage(q request) Usage {
	if r.Usage != nil {
		return *r.Usage
	}
	return Usage{Input: len(strings.Fields(q.lastUser)), Output: len(r.chunks()) + len(r.ToolCalls)}
}

// marshal writes JSON that was built here from strings and numbers, which cannot fail.
func marshal(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "{}"
	}
	return string(text)
}
