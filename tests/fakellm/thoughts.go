package fakellm

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Thoughts says how a server hands out what its model thinks. A server that thinks demands it back, as its example does:
// a tool call in the history whose thoughts are missing or changed is a 400.
type Thoughts string

// The ways to hand out thoughts. In Anthropic's format they are blocks whatever is said here.
const (
	NoThoughts       Thoughts = ""
	ReasoningContent Thoughts = "reasoning_content" // DeepSeek, Kimi, GLM: a text
	ReasoningDetails Thoughts = "reasoning_details" // OpenRouter, MiniMax: a list of parts, read or encrypted
	ThoughtSignature Thoughts = "thought_signature" // Gemini's compatible endpoint: a signature on the first call
	ContentParts     Thoughts = "content_parts"     // Mistral: parts of the content
	ThinkingBlocks   Thoughts = "thinking_blocks"   // LiteLLM: Anthropic's blocks in a member of the message
	SignedIDs        Thoughts = "signed_ids"        // LiteLLM: a signature in the id of the call
)

// Thought is what a model thinks before it answers.
const Thought = "The user wants 😀 a <number>; so I \"compute\" it.\n"

// Redacted is a thought that only the provider can read.
const Redacted = "ZW5jcnlwdGVkIHRob3VnaHQ="

// sign is the signature of a thought or a call.
func sign(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return "sig/" + base64.StdEncoding.EncodeToString(sum[:]) + "=="
}

// thirds cuts a text in three.
func thirds(s string) []string {
	runes := []rune(s)
	n := len(runes) / 3
	return []string{string(runes[:n]), string(runes[n : 2*n]), string(runes[2*n:])}
}

// openAIThoughts are deltas that stand before the answer.
func openAIThoughts(style Thoughts, think bool) []object {
	var deltas []object
	if !think {
		return nil
	}
	for i, piece := range thirds(Thought) {
		switch style {
		case ReasoningContent:
			deltas = append(deltas, object{"content": nil, "reasoning_content": piece})
		case ReasoningDetails:
			deltas = append(deltas, object{"reasoning": piece, "reasoning_details": []object{{"type": "reasoning.text", "text": piece, "index": 0, "format": "fake-v1"}}})
		case ContentParts:
			deltas = append(deltas, object{"content": []object{{"type": "thinking", "thinking": []object{{"type": "text", "text": piece}}}}})
		case ThinkingBlocks:
			deltas = append(deltas, object{"reasoning_content": piece, "thinking_blocks": []object{{"type": "thinking", "thinking": piece, "signature": nil}}})
		case ThoughtSignature, SignedIDs, NoThoughts:
			if i == 0 && style != NoThoughts {
				deltas = append(deltas, object{"content": ""})
			}
		}
	}
	switch style {
	case ReasoningDetails:
		deltas = append(deltas,
			object{"reasoning_details": []object{{"type": "reasoning.text", "signature": sign(Thought), "index": 0}}},
			object{"reasoning_details": []object{{"type": "reasoning.encrypted", "data": Redacted, "index": 1, "format": "fake-v1"}}})
	case ThinkingBlocks:
		deltas = append(deltas,
			object{"thinking_blocks": []object{{"type": "thinking", "thinking": "", "signature": sign(Thought)}}},
			object{"thinking_blocks": []object{{"type": "redacted_thinking", "data": Redacted}}})
	case NoThoughts, ReasoningContent, ThoughtSignature, ContentParts, SignedIDs:
	}
	return deltas
}

// thoughtful reports whether the server thinks before this answer: always, or only before tool calls.
func (r Reply) thoughtful() bool { return len(r.ToolCalls) > 0 || r.Think }

// of returns the reply as a server with such thoughts gives it.
func (r Reply) of(style Thoughts) Reply {
	r.thoughts = style
	return r
}

// signedID is the id of a call that carries its signature.
func signedID(call ToolCall) string {
	return "call_" + sign(call.Name)[4:12] + "__thought__" + base64.RawURLEncoding.EncodeToString([]byte(sign(call.Name, call.Arguments)))
}

// missing refuses a request whose history lacks thoughts; it reports whether it did.
func (s *Server) missing(w http.ResponseWriter, d dialect, body []byte) bool {
	if s.options.Thoughts == NoThoughts {
		return false
	}
	err := d.checkThoughts(s.options.Thoughts, body)
	if err != nil {
		s.fail(w, d, &Failure{Status: http.StatusBadRequest, Body: marshal(object{"error": object{
			"type": "invalid_request_error", "message": "refused: " + err.Error(),
		}})})
	}
	return err != nil
}

func (openAI) checkThoughts(style Thoughts, body []byte) error {
	var in struct {
		Messages []struct {
			Content          json.RawMessage `json:"content"`
			ReasoningContent string          `json:"reasoning_content"`
			ReasoningDetails json.RawMessage `json:"reasoning_details"`
			ThinkingBlocks   json.RawMessage `json:"thinking_blocks"`
			ToolCalls        []struct {
				ID       string `json:"id"`
				Function struct {
					Name      string `json:"name"`
					Arguments string `json:"arguments"`
				} `json:"function"`
				ExtraContent struct {
					Google struct {
						ThoughtSignature string `json:"thought_signature"`
					} `json:"google"`
				} `json:"extra_content"`
			} `json:"tool_calls"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return err
	}
	for i, m := range in.Messages {
		if len(m.ToolCalls) == 0 {
			continue
		}
		ok := true
		switch style {
		case ReasoningContent:
			ok = m.ReasoningContent == Thought
		case ReasoningDetails:
			ok = sameJSON(m.ReasoningDetails, []object{
				{"type": "reasoning.text", "text": Thought, "index": 0, "format": "fake-v1", "signature": sign(Thought)},
				{"type": "reasoning.encrypted", "data": Redacted, "index": 1, "format": "fake-v1"},
			})
		case ThinkingBlocks:
			ok = sameJSON(m.ThinkingBlocks, []object{
				{"type": "thinking", "thinking": Thought, "signature": sign(Thought)}, {"type": "redacted_thinking", "data": Redacted},
			})
		case ContentParts:
			var parts []json.RawMessage
			ok = json.Unmarshal(m.Content, &parts) == nil && len(parts) > 0 &&
				sameJSON(parts[0], object{"type": "thinking", "thinking": []object{{"type": "text", "text": Thought}}})
		case ThoughtSignature:
			first := m.ToolCalls[0]
			ok = first.ExtraContent.Google.ThoughtSignature == sign(first.Function.Name, first.Function.Arguments)
		case SignedIDs:
			for _, call := range m.ToolCalls {
				ok = ok && call.ID == signedID(ToolCall{Name: call.Function.Name, Arguments: call.Function.Arguments})
			}
		case NoThoughts:
		}
		if !ok {
			return fmt.Errorf("messages[%d]: what the model thought (%s) is missing or was changed", i, style)
		}
	}
	return nil
}

func sameJSON(got json.RawMessage, want any) bool {
	var value any
	if json.Unmarshal(got, &value) != nil {
		return false
	}
	encoded, err := json.Marshal(value)
	return err == nil && bytes.Equal(encoded, []byte(normal(want)))
}

// normal writes a value with its names in order, as one that was read from JSON.
func normal(v any) string {
	var value any
	if json.Unmarshal([]byte(marshal(v)), &value) != nil {
		return ""
	}
	return marshal(value)
}

func (anthropic) checkThoughts(_ Thoughts, body []byte) error {
	var in struct {
		Messages []struct {
			Role    string `json:"role"`
			Content []struct {
				Type      string `json:"type"`
				Thinking  string `json:"thinking"`
				Signature string `json:"signature"`
				Data      string `json:"data"`
			} `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return err
	}
	for i, m := range in.Messages {
		kinds := make([]string, 0, len(m.Content))
		for _, b := range m.Content {
			kinds = append(kinds, b.Type)
			if b.Type == "thinking" && b.Signature != sign(b.Thinking) || b.Type == "redacted_thinking" && b.Data != Redacted {
				return fmt.Errorf("messages[%d]: invalid signature in a %s block", i, b.Type)
			}
		}
		order := strings.Join(kinds, " ")
		if m.Role == "assistant" && strings.Contains(order, "tool_use") && !strings.HasPrefix(order, "thinking redacted_thinking") {
			return fmt.Errorf("messages[%d]: expected thinking and redacted_thinking before tool_use, found %s", i, order)
		}
	}
	return nil
}

// anthropicThoughts are the blocks before the answer, and how many.
func anthropicThoughts(event func(kind string, data object) string) (chunks [][]string, blocks int) {
	stop := func(index int) string { return event("content_block_stop", object{"index": index}) }
	start := event("content_block_start", object{"index": 0, "content_block": object{"type": "thinking", "thinking": "", "signature": ""}})
	events := []string{start}
	for _, piece := range thirds(Thought) {
		chunks = append(chunks, append(events, event("content_block_delta", object{"index": 0, "delta": object{"type": "thinking_delta", "thinking": piece}})))
		events = nil
	}
	chunks = append(chunks,
		[]string{event("content_block_delta", object{"index": 0, "delta": object{"type": "signature_delta", "signature": sign(Thought)}}), stop(0)},
		[]string{event("content_block_start", object{"index": 1, "content_block": object{"type": "redacted_thinking", "data": Redacted}}), stop(1)})
	return chunks, 2
}
