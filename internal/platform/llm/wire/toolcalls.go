package wire

import (
	"crypto/rand"
	"encoding/json"
	"strings"

	"github.com/larirun/lari/internal/platform/llm"
)

// Piece is a fragment of a tool call as it streams in. Index tells parallel calls apart; a negative
// one was not sent.
type Piece struct {
	Index     int64
	ID        string
	Name      string
	Arguments string
}

// ToolCalls assembles tool calls from pieces. The zero value is ready.
type ToolCalls struct{ open []*openCall }

type openCall struct {
	index     int64
	id, name  string
	arguments strings.Builder
}

// Add takes the next piece. Servers differ: most send an index and, once, an id; some send whole
// calls that all have index 0 but ids of their own; some send neither.
func (t *ToolCalls) Add(p Piece) {
	call := t.find(p)
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
	call.arguments.WriteString(p.Arguments)
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

// Bytes counts what the calls hold so far, for estimates of usage.
func (t *ToolCalls) Bytes() int {
	n := 0
	for _, call := range t.open {
		n += len(call.name) + call.arguments.Len()
	}
	return n
}

// Complete gives the calls in the order they began, each with an id (made when none was sent) and
// with "{}" for empty arguments. When the turn was cut by its token limit, calls whose arguments are
// not whole JSON are left out: they were never finished.
func (t *ToolCalls) Complete(reason llm.FinishReason) []llm.ToolCall {
	calls := make([]llm.ToolCall, 0, len(t.open))
	for _, call := range t.open {
		arguments := call.arguments.String()
		if reason == llm.FinishLength && !json.Valid([]byte(arguments)) {
			continue
		}
		if strings.TrimSpace(arguments) == "" {
			arguments = "{}"
		}
		id := call.id
		if id == "" {
			id = "call_" + rand.Text()
		}
		calls = append(calls, llm.ToolCall{ID: id, Name: call.name, Arguments: arguments})
	}
	return calls
}
