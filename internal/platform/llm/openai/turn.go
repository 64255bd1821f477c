package openai

import (
	"bytes"
	"encoding/json"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/tidwall/gjson"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/wire"
)

// turn is what is known of one answer while it streams in.
type turn struct {
	req      llm.Request
	model    string
	finish   string // finish_reason as sent
	done     bool   // [DONE] was seen
	usage    llm.Usage
	text     int // bytes of text so far
	calls    wire.ToolCalls
	reported bool // usage was sent
}

func newTurn(req llm.Request) *turn { return &turn{req: req, model: req.Model} }

// stream yields the turn's chunks until it is complete, fails or yield wants no more.
func (t *turn) stream(call *wire.Call, events ssestream.Decoder, yield func(llm.Chunk, error) bool) {
	for !t.done && events.Next() {
		data := bytes.TrimSpace(events.Event().Data)
		switch {
		case len(data) == 0:
			continue
		case bytes.HasPrefix(data, []byte("[DONE]")):
			t.done = true
			continue
		}
		if object, failed := failure(data); failed {
			yield(llm.Chunk{}, call.StreamFailure(object, t.used()))
			return
		}
		var chunk sdk.ChatCompletionChunk
		if err := json.Unmarshal(data, &chunk); err != nil {
			yield(llm.Chunk{}, call.Failure(&llm.Error{
				Provider: Name, Class: llm.ClassOverloaded, Detail: "sent a piece of the stream that is not JSON",
			}, t.used()))
			return
		}
		if text := t.take(chunk); text != "" && !yield(llm.Chunk{Text: text}, nil) {
			return
		}
	}
	t.close(call, events.Err(), yield)
}

// failure finds an error object inside the stream. Some servers send "error": null along with every
// piece, which is none.
func failure(data []byte) ([]byte, bool) {
	member := gjson.GetBytes(data, "error")
	if member.Exists() && member.Type != gjson.Null {
		return data, true
	}
	return data, gjson.GetBytes(data, "object").Str == "error"
}

// take notes what a piece says and gives its text.
func (t *turn) take(chunk sdk.ChatCompletionChunk) string {
	if chunk.Model != "" {
		t.model = chunk.Model
	}
	// Some servers repeat the running total with every piece: the last one counts.
	if u := chunk.Usage; u.PromptTokens > 0 || u.CompletionTokens > 0 {
		t.reported = true
		t.usage = llm.Usage{InputTokens: u.PromptTokens, OutputTokens: u.CompletionTokens}
	}
	text := ""
	for _, choice := range chunk.Choices {
		if choice.Index != 0 { // one choice was asked for
			continue
		}
		text += choice.Delta.Content + choice.Delta.Refusal
		for _, piece := range choice.Delta.ToolCalls {
			index := piece.Index
			if !piece.JSON.Index.Valid() {
				index = -1
			}
			t.calls.Add(wire.Piece{Index: index, ID: piece.ID, Name: piece.Function.Name, Arguments: piece.Function.Arguments})
		}
		if choice.FinishReason != "" {
			t.finish = choice.FinishReason
		}
	}
	t.text += len(text)
	return text
}

// close ends the turn. What was finished stays finished, even if the connection broke right after it
// and the usage has to be estimated; what was not finished is a cut stream.
func (t *turn) close(call *wire.Call, err error, yield func(llm.Chunk, error) bool) {
	switch {
	case t.finish == "error": // a gateway's word for its own upstream breaking off
		yield(llm.Chunk{}, call.Cut(t.used()))
		return
	case t.done || t.finish != "":
	case err != nil:
		yield(llm.Chunk{}, call.Failure(err, t.used()))
		return
	default:
		yield(llm.Chunk{}, call.Cut(t.used()))
		return
	}
	reason := finishReason(t.finish)
	calls := t.calls.Complete(reason)
	if len(calls) > 0 && reason == llm.FinishStop { // some servers say "stop" although tools were called
		reason = llm.FinishToolCalls
	}
	for i := range calls {
		if !yield(llm.Chunk{ToolCall: &calls[i]}, nil) {
			return
		}
	}
	yield(llm.Chunk{Done: &llm.Done{Reason: reason, Usage: t.used(), Model: t.model}}, nil)
}

// used is what the provider reported, or an estimate of what came so far.
func (t *turn) used() llm.Usage {
	if t.reported {
		return t.usage
	}
	return llm.Usage{
		InputTokens:  llm.EstimateInput(t.req),
		OutputTokens: int64(t.text+t.calls.Bytes()+3) / 4,
		Estimated:    true,
	}
}

func finishReason(sent string) llm.FinishReason {
	switch sent {
	case "tool_calls", "function_call":
		return llm.FinishToolCalls
	case "length":
		return llm.FinishLength
	case "content_filter":
		return llm.FinishFilter
	default: // "stop", "eos", and none at all before [DONE]
		return llm.FinishStop
	}
}
