package anthropic

import (
	"encoding/json"
	"errors"
	"strings"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/packages/ssestream"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/wire"
)

type events = *ssestream.Stream[sdk.MessageStreamEventUnion]

// turn is what is known of one answer while it streams in.
type turn struct {
	req      llm.Request
	model    string
	stop     sdk.StopReason
	stopped  bool  // message_stop was seen
	input    int64 // from message_start; zero: not said
	output   int64 // from message_delta, cumulative
	reported bool  // message_delta was seen: output is final
	text     int   // bytes of text and thinking so far
	calls    wire.ToolCalls
	inputs   map[int64]string // tool input that came whole with its block, by block index
}

func newTurn(req llm.Request) *turn {
	return &turn{req: req, model: req.Model, inputs: map[int64]string{}}
}

// stream yields the turn's chunks until it is complete, fails or yield wants no more.
func (t *turn) stream(call *wire.Call, in events, yield func(llm.Chunk, error) bool) {
	for !t.stopped && in.Next() {
		if text := t.take(in.Current()); text != "" && !yield(llm.Chunk{Text: text}, nil) {
			return
		}
	}
	if !t.stopped {
		yield(llm.Chunk{}, t.failure(call, in.Err()))
		return
	}
	reason := finishReason(t.stop)
	calls := t.calls.Complete(reason)
	for i := range calls {
		if !yield(llm.Chunk{ToolCall: &calls[i]}, nil) {
			return
		}
	}
	yield(llm.Chunk{Done: &llm.Done{Reason: reason, Usage: t.used(), Model: t.model}}, nil)
}

// failure puts the end of an unfinished stream into the port's words.
func (t *turn) failure(call *wire.Call, err error) error {
	var (
		event     *sdk.Error
		syntax    *json.SyntaxError
		malformed *json.UnmarshalTypeError
	)
	switch {
	case err == nil:
		return call.Cut(t.used())
	case errors.As(err, &event):
		return call.StreamFailure([]byte(event.RawJSON()), t.used())
	case errors.As(err, &syntax), errors.As(err, &malformed):
		return call.Failure(&llm.Error{
			Provider: Name, Class: llm.ClassOverloaded, Detail: "sent a piece of the stream that is not JSON",
		}, t.used())
	}
	return call.Failure(err, t.used())
}

// take notes what an event says and gives its text.
func (t *turn) take(event sdk.MessageStreamEventUnion) string {
	switch event.Type {
	case "message_start":
		if event.Message.Model != "" {
			t.model = event.Message.Model
		}
		u := event.Message.Usage
		t.input = u.InputTokens + u.CacheCreationInputTokens + u.CacheReadInputTokens
	case "content_block_start":
		return t.begin(event.Index, event.ContentBlock)
	case "content_block_delta":
		switch event.Delta.Type {
		case "text_delta":
			t.text += len(event.Delta.Text)
			return event.Delta.Text
		case "input_json_delta":
			if event.Delta.PartialJSON != "" {
				delete(t.inputs, event.Index)
				t.calls.Add(wire.Piece{Index: event.Index, Arguments: event.Delta.PartialJSON})
			}
		case "thinking_delta": // billed, not shown
			t.text += len(event.Delta.Thinking)
		}
	case "content_block_stop":
		if whole, ok := t.inputs[event.Index]; ok {
			t.calls.Add(wire.Piece{Index: event.Index, Arguments: whole})
		}
	case "message_delta":
		t.stop = event.Delta.StopReason
		u := event.Usage
		if total := u.InputTokens + u.CacheCreationInputTokens + u.CacheReadInputTokens; total > 0 {
			t.input = total
		}
		t.output, t.reported = u.OutputTokens, true
	case "message_stop":
		t.stopped = true
	}
	return ""
}

// begin opens a content block. Anthropic sends its content in deltas; compatible servers may send it
// with the block.
func (t *turn) begin(index int64, block sdk.ContentBlockStartEventContentBlockUnion) string {
	switch block.Type {
	case "text":
		t.text += len(block.Text)
		return block.Text
	case "tool_use":
		t.calls.Add(wire.Piece{Index: index, ID: block.ID, Name: block.Name})
		if raw := strings.TrimSpace(block.JSON.Input.Raw()); raw != "" && raw != "null" && raw != "{}" {
			t.inputs[index] = raw
		}
	}
	return ""
}

// used is what the provider reported. On a cut the input is known from message_start already; the
// output, which message_start only begins to count, is estimated.
func (t *turn) used() llm.Usage {
	u := llm.Usage{InputTokens: t.input, OutputTokens: t.output}
	if t.input == 0 {
		u.InputTokens, u.Estimated = llm.EstimateInput(t.req), true
	}
	if !t.reported {
		u.OutputTokens, u.Estimated = int64(t.text+t.calls.Bytes()+3)/4, true
	}
	return u
}

func finishReason(sent sdk.StopReason) llm.FinishReason {
	switch sent {
	case sdk.StopReasonToolUse:
		return llm.FinishToolCalls
	case sdk.StopReasonMaxTokens, sdk.StopReasonModelContextWindowExceeded:
		return llm.FinishLength
	case sdk.StopReasonRefusal:
		return llm.FinishFilter
	case sdk.StopReasonEndTurn, sdk.StopReasonStopSequence, sdk.StopReasonPauseTurn:
		return llm.FinishStop
	}
	return llm.FinishStop // a word newer than this list
}
