package wire

import (
	"crypto/rand"
	"encoding/json"
	"strings"
	"unicode"

	"github.com/tidwall/gjson"

	"github.com/larirun/lari/internal/platform/llm"
)

const (
	// maxCalls bounds the tool calls of a turn that are run. Providers that document a bound have this one.
	maxCalls = 128
	// maxID bounds the id of a call, in bytes; a longer one is replaced. Gateways put signatures of thoughts into it.
	maxID = 8 << 10
)

// Piece is a fragment of a tool call as it streams in. Index tells parallel calls apart; a negative
// one was not sent. Name and Arguments may hold halves of characters, see Raw.
type Piece struct {
	Index     int64
	ID        string
	Name      string
	Arguments string
	// Data are members that have to come back with the call; nil: none.
	Data map[string]gjson.Result
}

// ToolCalls assembles tool calls from pieces. The zero value is ready.
type ToolCalls struct{ open []*openCall }

type openCall struct {
	index     int64
	id, name  string
	arguments strings.Builder
	joiner    Joiner
	data      Fields
}

// Add takes the next piece. Servers differ: most send an index and, once, an id; some send whole
// calls that all have index 0 but ids of their own, or the same id; some send neither; some repeat a
// call that is whole.
func (t *ToolCalls) Add(p Piece) {
	p.ID, p.Name = identifier(p.ID), strings.TrimSpace(Whole(p.Name))
	call := t.find(p)
	switch {
	case call == nil:
	case call.isRepeated(p):
		return // with the data of the first time
	case call.isAnother(p):
		call = nil
	}
	if call == nil {
		call = &openCall{index: p.Index}
		t.open = append(t.open, call)
	}
	if call.id == "" {
		call.id = p.ID
	}
	if call.name == "" { // sent once; the servers that repeat it repeat it whole
		call.name = p.Name
	}
	call.arguments.WriteString(call.joiner.Add(p.Arguments))
	for name, piece := range p.Data {
		call.data.Add(name, piece)
	}
}

func (t *ToolCalls) find(p Piece) *openCall {
	for i := len(t.open) - 1; i >= 0; i-- {
		call := t.open[i]
		switch {
		case p.ID != "" && call.id == p.ID && (p.Index < 0 || p.Index == call.index):
			return call
		case p.ID != "" && call.id != "": // another call, even under the same index
		case p.Index >= 0 && p.Index == call.index:
			return call
		case p.Index < 0 && p.Name == "" && i == len(t.open)-1:
			return call
		}
	}
	return nil
}

// isAnother reports whether the piece begins a call of its own although index and id are those of an
// earlier one: it has another name, or arguments although the earlier call has all of its own.
func (c *openCall) isAnother(p Piece) bool {
	if p.Name == "" || c.name == "" {
		return false
	}
	return p.Name != c.name || p.Arguments != "" && IsObject(c.arguments.String())
}

// isRepeated reports whether the piece is the whole call once more, as some gateways send it at the end.
func (c *openCall) isRepeated(p Piece) bool {
	return p.Name != "" && p.Name == c.name && p.ID == c.id && p.Arguments == c.arguments.String() && IsObject(p.Arguments)
}

// Bytes counts what the calls hold so far, for estimates of usage.
func (t *ToolCalls) Bytes() int {
	n := 0
	for _, call := range t.open {
		n += len(call.name) + call.arguments.Len()
	}
	return n
}

// dataBytes counts the data of the provider in the calls.
func (t *ToolCalls) dataBytes() int {
	n := 0
	for _, call := range t.open {
		n += call.data.Bytes()
	}
	return n
}

// hasData reports whether a call has data of the provider.
func (t *ToolCalls) hasData() bool { return t.dataBytes() > 0 }

// Complete returns the calls in the order they began. Each has an id that neither another call of the
// turn nor one of used has, and "{}" for empty arguments. Apart from them are those that must not be
// run: cut off when the turn was, without a name, or too many.
func (t *ToolCalls) Complete(reason llm.FinishReason, used map[string]bool) (calls []llm.ToolCall, unfinished []llm.UnfinishedCall) {
	taken := map[string]bool{}
	for i, open := range t.open {
		open.arguments.WriteString(open.joiner.Flush())
		call := llm.ToolCall{ID: open.id, Name: open.name, Arguments: open.arguments.String(), ProviderData: string(open.data.JSON())}
		why := ""
		switch {
		case call.Name == "":
			why = "The call was not run: it names no tool."
		case isCut(call.Arguments, reason, i == len(t.open)-1):
			why = "The call was not run: the answer was cut off (" + string(reason) + ") before its arguments were complete."
		case len(calls) >= maxCalls:
			why = "The call was not run: there were too many in one turn."
		}
		if blank(call.Arguments) {
			call.Arguments = "{}"
		}
		if call.ID == "" || taken[call.ID] || used[call.ID] {
			call.ID = newCallID()
		}
		taken[call.ID] = true
		if why != "" {
			unfinished = append(unfinished, llm.UnfinishedCall{ToolCall: call, Why: why})
			continue
		}
		calls = append(calls, call)
	}
	return calls, unfinished
}

// isCut reports whether a call's arguments ended because the turn did. In the last call of a turn that
// was cut even none at all may be the beginning of some.
func isCut(arguments string, reason llm.FinishReason, last bool) bool {
	if reason == llm.FinishStop || reason == llm.FinishToolCalls {
		return false
	}
	if blank(arguments) {
		return last
	}
	return !IsObject(arguments)
}

// newCallID makes an id that every provider takes: Mistral wants exactly nine letters and digits.
func newCallID() string { return rand.Text()[:9] }

// identifier is an id or name as the provider sent it, if it can be one.
func identifier(sent string) string {
	sent = strings.TrimSpace(sent)
	if len(sent) > maxID || Whole(sent) != sent || strings.ContainsFunc(sent, unicode.IsControl) {
		return ""
	}
	return sent
}

// Whole returns text that Raw gave, in one piece or several, with its halves of characters put together.
func Whole(sent string) string {
	var j Joiner
	return j.Add(sent) + j.Flush()
}

// IsObject reports whether arguments are a JSON object, which is what tools and providers take.
func IsObject(arguments string) bool {
	return strings.HasPrefix(strings.TrimSpace(arguments), "{") && json.Valid([]byte(arguments))
}
