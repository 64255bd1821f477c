package wire

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/larirun/lari/internal/platform/llm"
)

// maxTurn bounds what a turn may bring, in bytes of text, thinking and tool calls. It is several times
// what the largest models can write.
const maxTurn = 16 << 20

// Turn is one answer while it streams in. Both wire formats pass through it: their decoders only say
// what an event holds, and Turn decides what that means at the port. Text becomes valid UTF-8, ids of
// tool calls unique, counts of tokens plausible, reasons neutral, and the end of the stream an end of
// the turn or a failure. It belongs to one goroutine.
type Turn struct {
	call  *Call
	req   llm.Request
	yield func(llm.Chunk, error) bool

	model   string
	reason  string // as sent
	refused bool   // the model refused in words of its own
	resumed bool   // more came after a reason: this server sends one with every piece
	piece   bool   // the event that is being read holds a piece of the answer
	ended   bool   // the format's own end came
	failure []byte // an error object, which ends the turn
	suspect []byte // an event that may be an error: it is one if the turn has no proper end
	gone    bool   // whoever reads the turn wants no more
	bytes   int    // of text and thinking
	said    bool   // text came
	joiner  Joiner
	thought Joiner
	decoder Decoder
	calls   ToolCalls
	counter counter
}

// Decoder reads a wire format.
type Decoder interface {
	// Decode reads one event into the turn.
	Decode(t *Turn, e Event)
	// Data returns the provider's data of the turn that has to come back with it, beside that of tool calls; nil:
	// there is none.
	Data() json.RawMessage
	// DataBytes returns how much of it has come.
	DataBytes() int
}

// Stream reads the turn from body and yields its chunks until it is complete, fails or yield wants no more.
func Stream(call *Call, body io.Reader, d Decoder, req llm.Request, yield func(llm.Chunk, error) bool) {
	t := &Turn{call: call, req: req, yield: yield, model: req.Model, decoder: d}
	events := newEventReader(body)
	for !t.ended && !t.gone && t.failure == nil && t.size() <= maxTurn {
		e, ok := events.next()
		if !ok {
			break
		}
		t.piece = false
		d.Decode(t, e)
	}
	if !t.gone {
		t.close(events)
	}
}

// Text takes a piece of the answer; it may end or begin with half a character, see Raw.
func (t *Turn) Text(piece string) {
	if piece == "" || t.gone {
		return
	}
	t.bytes += len(piece)
	t.goOn()
	if text := t.joiner.Add(piece); text != "" {
		t.say(text)
	}
}

func (t *Turn) say(text string) {
	t.said = true
	t.gone = !t.yield(llm.Chunk{Text: text}, nil)
}

// Refusal takes a piece of the model's own words for why it does not answer.
func (t *Turn) Refusal(piece string) {
	t.refused = t.refused || piece != ""
	t.Text(piece)
}

// Reasoning takes a piece of the model's thinking that can be read. It is billed, it shows that the model lives, and
// it is no part of the answer.
func (t *Turn) Reasoning(piece string) {
	if piece == "" || t.gone {
		return
	}
	t.bytes += len(piece)
	t.goOn()
	if text := t.thought.Add(piece); text != "" {
		t.gone = !t.yield(llm.Chunk{Reasoning: text}, nil)
	}
}

// Work takes what is part of the answer and cannot be read: it shows that the model lives. n is how much of it is
// billed, in bytes.
func (t *Turn) Work(n int) {
	if t.gone {
		return
	}
	t.bytes += n
	t.goOn()
	t.gone = !t.yield(llm.Chunk{Working: true}, nil)
}

// size is what the turn holds in memory.
func (t *Turn) size() int {
	return t.bytes + t.calls.Bytes() + t.calls.dataBytes() + t.decoder.DataBytes()
}

// ToolCall takes a piece of a tool call.
func (t *Turn) ToolCall(p Piece) {
	if t.gone {
		return
	}
	t.calls.Add(p)
	t.goOn()
	t.gone = !t.yield(llm.Chunk{Working: true}, nil)
}

// goOn notes that the answer goes on.
func (t *Turn) goOn() {
	t.piece, t.resumed = true, t.resumed || t.reason != ""
	t.call.resume()
}

// Finish takes the provider's word for why the model stopped. Where one comes with every piece, only the
// end of the stream says which was the last.
func (t *Turn) Finish(reason string) {
	if reason == "" {
		return
	}
	t.reason = reason
	if !t.resumed && (t.HasContent() || finishReason(reason) != llm.FinishStop) {
		t.call.finish(t.piece)
	}
}

// Usage takes a report of tokens; zero: not said.
func (t *Turn) Usage(input, output int64) {
	if t.counter.add(input, output) {
		t.call.progress()
	}
}

// Model takes the name of the model that answers.
func (t *Turn) Model(name string) {
	if name = identifier(name); name != "" {
		t.model = name
	}
}

// End takes the format's own end of the stream.
func (t *Turn) End() { t.ended = true }

// Fail takes an error object or text of the provider.
func (t *Turn) Fail(object []byte) {
	if t.failure == nil {
		t.failure = append([]byte{}, object...)
	}
}

// Suspect takes an event that is no part of an answer and may be an error.
func (t *Turn) Suspect(object []byte) { t.suspect = append([]byte{}, object...) }

// HasContent reports whether anything of the answer has come.
func (t *Turn) HasContent() bool { return t.said || len(t.calls.open) > 0 }

// close ends the turn. What was finished stays finished, even if the connection broke right after it
// and the usage has to be estimated; what was not finished is a failure.
func (t *Turn) close(events *eventReader) {
	if err := t.failed(events); err != nil {
		t.yield(llm.Chunk{}, err)
		return
	}
	if rest := t.joiner.Flush(); rest != "" {
		if t.say(rest); t.gone {
			return
		}
	}
	reason := llm.FinishStop // no reason, but the stream's own end
	if t.reason != "" {
		reason = finishReason(t.reason)
	}
	if t.refused && reason == llm.FinishStop {
		reason = llm.FinishFilter
	}
	calls, unfinished := t.calls.Complete(reason, usedIDs(t.req))
	if len(calls)+len(unfinished) > 0 && reason == llm.FinishStop { // some servers say "stop" although tools were called
		reason = llm.FinishToolCalls
	}
	for i := range calls {
		if !t.yield(llm.Chunk{ToolCall: &calls[i]}, nil) {
			return
		}
	}
	t.yield(llm.Chunk{Done: &llm.Done{
		Reason: reason, Usage: t.used(), Model: t.model, Unfinished: unfinished,
		ProviderData: seal(t.call.origin, t.decoder.Data(), t.calls.hasData()),
	}}, nil)
}

// failed returns why the turn is none; nil when it has a proper end.
func (t *Turn) failed(events *eventReader) error {
	broken, why := events.err, context.Cause(t.call.ctx)
	if errors.Is(broken, io.EOF) || errors.Is(why, errFinished) {
		broken = nil
	}
	// Where a reason comes with every piece, it does not say that the answer was whole when the connection broke.
	isCut := t.resumed && broken != nil && !errors.Is(why, errIdle) && !errors.Is(why, errStalled)
	switch {
	case t.failure != nil:
		return t.call.StreamFailure(t.failure, t.used())
	case isBroken(t.reason):
		return t.call.Cut(t.used())
	case t.size() > maxTurn:
		return t.unusable(llm.ClassBadRequest, "sent an answer of more than 16 MiB")
	case t.reason != "" && !isCut && (t.ended || t.HasContent() || finishReason(t.reason) != llm.FinishStop):
		return nil
	case broken != nil:
		return t.call.Failure(broken, t.used())
	case t.suspect != nil:
		return t.call.StreamFailure(t.suspect, t.used())
	case t.ended && t.HasContent():
		return nil
	case !t.HasContent() && len(events.stray) > 0:
		return t.stray(events.stray)
	case t.ended:
		return t.unusable(llm.ClassOverloaded, "ended its answer without a word, a tool call or a reason")
	}
	return t.call.Cut(t.used())
}

// stray is the failure of a stream that holds something else than events, an error in JSON perhaps.
func (t *Turn) stray(text []byte) error {
	if p := parseProblem(text); p.structured {
		return t.call.StreamFailure(text, t.used())
	}
	return t.unusable(llm.ClassOverloaded, "answered with something that is no event stream")
}

func (t *Turn) unusable(class llm.Class, detail string) error {
	return t.call.Failure(&llm.Error{Provider: t.call.provider, Class: class, Detail: detail}, t.used())
}

// CacheUsage takes a report of what of the input the provider read from its cache and wrote to it, in tokens; what it did
// not say is zero.
func (t *Turn) CacheUsage(read, written int64) { t.counter.addCache(read, written) }

// used is what the provider reported, or an estimate of what came so far.
func (t *Turn) used() llm.Usage { return t.counter.usage(t.req, t.bytes+t.calls.Bytes()) }

// usedIDs are the ids of the tool calls that the conversation holds already.
func usedIDs(req llm.Request) map[string]bool {
	used := map[string]bool{}
	for _, m := range req.Messages {
		for _, call := range m.ToolCalls {
			used[call.ID] = true
		}
	}
	return used
}
