package fakellm

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// anthropic is the format of Anthropic's Messages (https://docs.anthropic.com/en/api/messages-streaming).
type anthropic struct{}

func (anthropic) name() string { return "anthropic" }

func (anthropic) check(body []byte) error { return CheckAnthropic(body) }

func (anthropic) key(h http.Header) string { return h.Get("X-Api-Key") }

func (anthropic) parse(body []byte) (request, error) {
	var in struct {
		Model    string `json:"model"`
		Stream   bool   `json:"stream"`
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return request{}, fmt.Errorf("messages request: %w", err)
	}
	q := request{model: in.Model, stream: in.Stream, usage: true}
	for _, m := range in.Messages {
		q.afterTools = false
		if m.Role != "user" {
			continue
		}
		if said := text(m.Content); said != "" {
			q.lastUser = said
		}
		var blocks []struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(m.Content, &blocks) == nil && len(blocks) > 0 {
			q.afterTools = blocks[len(blocks)-1].Type == "tool_result"
		}
	}
	return q, nil
}

func (anthropic) problem(status int) string {
	kind := "invalid_request_error"
	switch {
	case status == http.StatusUnauthorized:
		kind = "authentication_error"
	case status == http.StatusForbidden:
		kind = "permission_error"
	case status == http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case status == 529:
		kind = "overloaded_error"
	case status >= http.StatusInternalServerError:
		kind = "api_error"
	}
	return marshal(object{"type": "error", "error": object{"type": kind, "message": "fake: " + kind}})
}

func (anthropic) streamError(object string) string { return "event: error\ndata: " + object + "\n\n" }

func (anthropic) pieces(q request, r Reply) (before []string, chunks [][]string, after []string) {
	event := func(kind string, data object) string {
		data["type"] = kind
		return "event: " + kind + "\ndata: " + marshal(data) + "\n\n"
	}
	stop := func(index int) string { return event("content_block_stop", object{"index": index}) }
	u := r.usage(q)
	before = []string{
		event("message_start", object{"message": object{
			"id": "msg_fake", "type": "message", "role": "assistant", "model": q.model, "content": []any{},
			"stop_reason": nil, "stop_sequence": nil, "usage": object{"input_tokens": u.Input, "output_tokens": 1},
		}}),
		event("ping", object{}),
	}
	index := 0
	if r.thoughts != NoThoughts && r.thoughtful() {
		chunks, index = anthropicThoughts(event)
	}
	words := r.chunks()
	for i, piece := range words {
		var events []string
		if i == 0 {
			events = append(events, event("content_block_start", object{"index": index, "content_block": object{"type": "text", "text": ""}}))
		}
		events = append(events, event("content_block_delta", object{"index": index, "delta": object{"type": "text_delta", "text": piece}}))
		if i == len(words)-1 {
			events = append(events, stop(index))
			index++
		}
		chunks = append(chunks, events)
	}
	for i, call := range r.ToolCalls {
		start := event("content_block_start", object{"index": index, "content_block": object{
			"type": "tool_use", "id": callID(i, call), "name": call.Name, "input": object{},
		}})
		events := []string{start}
		for _, fragment := range halves(call.Arguments) {
			chunks = append(chunks, append(events, event("content_block_delta", object{
				"index": index, "delta": object{"type": "input_json_delta", "partial_json": fragment},
			})))
			events = nil
		}
		chunks = append(chunks, append(events, stop(index)))
		index++
	}
	reason := r.FinishReason
	if reason == "" {
		reason = "end_turn"
		if len(r.ToolCalls) > 0 {
			reason = "tool_use"
		}
	}
	after = []string{
		event("message_delta", object{
			"delta": object{"stop_reason": reason, "stop_sequence": nil}, "usage": object{"output_tokens": u.Output},
		}),
		event("message_stop", object{}),
	}
	return before, chunks, after
}
