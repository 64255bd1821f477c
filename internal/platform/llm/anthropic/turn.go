package anthropic

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/larirun/lari/internal/platform/llm/wire"
)

// decoder reads the events of the Messages API, and the habits of the servers that speak the format.
type decoder struct {
	blocks map[int64]*block // by their index
	kept   []*block         // all of them, in order: those of thoughts go back where they stood
	bytes  int              // of thoughts and signatures
}

// block is a content block that is open.
type block struct {
	kind   string
	input  string // of a tool, if it came whole with its block
	pieces bool   // it came in pieces

	start              gjson.Result // of a thought: what its block began with
	thought, signature strings.Builder
}

func newDecoder() *decoder { return &decoder{blocks: map[int64]*block{}} }

// Decode reads one event into the turn.
func (d *decoder) Decode(t *wire.Turn, e wire.Event) {
	data := bytes.TrimSpace(e.Data)
	switch {
	case len(data) == 0:
		return
	case bytes.HasPrefix(data, []byte("[DONE]")): // a gateway that translates from the other format
		t.End()
		return
	case !gjson.ValidBytes(data):
		if data[0] == '{' || data[0] == '[' {
			data = []byte(`{"error":"sent a piece of the stream that is not JSON"}`)
		}
		t.Fail(data)
		return
	}
	v := gjson.ParseBytes(data)
	kind := v.Get("type").Str
	if kind == "" {
		kind = e.Type
	}
	if e.Type == "error" || v.IsArray() {
		kind = "error"
	}
	d.event(t, kind, v)
}

func (d *decoder) event(t *wire.Turn, kind string, v gjson.Result) {
	index := v.Get("index").Int()
	switch kind {
	case "message_start":
		t.Model(v.Get("message.model").Str)
		usage(t, v.Get("message.usage"), 0) // the output only begins to count
	case "content_block_start":
		d.begin(t, index, v.Get("content_block"))
	case "content_block_delta":
		d.delta(t, index, v.Get("delta"))
	case "content_block_stop":
		if b := d.blocks[index]; b != nil && !b.pieces && b.input != "" {
			t.ToolCall(wire.Piece{Index: index, Arguments: b.input})
		}
		delete(d.blocks, index)
	case "message_delta":
		u := v.Get("usage")
		usage(t, u, wire.Tokens(u.Get("output_tokens")))
		t.Finish(v.Get("delta.stop_reason").Str)
	case "message_stop":
		t.End()
	case "ping":
	case "error":
		t.Fail([]byte(v.Raw))
	default:
		switch {
		case wire.IsError(v, false):
			t.Fail([]byte(v.Raw))
		case wire.IsSuspect(v):
			t.Suspect([]byte(v.Raw))
		}
	}
}

// begin opens a content block. Anthropic sends its content in deltas; compatible servers may send it
// with the block.
func (d *decoder) begin(t *wire.Turn, index int64, v gjson.Result) {
	b := &block{kind: v.Get("type").Str}
	d.blocks[index] = b
	d.kept = append(d.kept, b)
	switch b.kind {
	case "text":
		t.Text(wire.Raw(v.Get("text")))
	case "thinking":
		d.keep(b, v)
		t.Reasoning(d.think(b, v.Get("thinking")))
		d.sign(b, v.Get("signature"))
		t.Work(0)
	case "redacted_thinking":
		d.keep(b, v)
		t.Work(len(wire.Raw(v.Get("data"))))
	case "tool_use":
		t.ToolCall(wire.Piece{Index: index, ID: wire.Raw(v.Get("id")), Name: wire.Raw(v.Get("name"))})
		switch whole := v.Get("input"); {
		case whole.IsObject() && len(whole.Map()) > 0:
			b.input = whole.Raw
		case whole.Type == gjson.String:
			b.input = wire.Raw(whole)
		}
	}
}

func (d *decoder) delta(t *wire.Turn, index int64, v gjson.Result) {
	b := d.blocks[index]
	switch v.Get("type").Str {
	case "text_delta":
		t.Text(wire.Raw(v.Get("text")))
	case "thinking_delta":
		t.Reasoning(d.think(b, v.Get("thinking")))
	case "signature_delta":
		d.sign(b, v.Get("signature"))
		t.Work(0)
	case "input_json_delta":
		piece := wire.Raw(v.Get("partial_json"))
		if piece == "" || b != nil && b.kind != "tool_use" { // tools that the provider runs by itself are its own affair
			return
		}
		if b != nil {
			b.pieces = true
		}
		t.ToolCall(wire.Piece{Index: index, Arguments: piece})
	}
}

// usage counts what was read from a cache and written to it as input too: it is billed, at prices of its own.
func usage(t *wire.Turn, u gjson.Result, output int64) {
	read, written := wire.Tokens(u.Get("cache_read_input_tokens")), wire.Tokens(u.Get("cache_creation_input_tokens"))
	t.Usage(wire.Tokens(u.Get("input_tokens"))+read+written, output)
	t.CacheUsage(read, written)
}

// keep holds a block of thought, which goes back as it came.
func (d *decoder) keep(b *block, start gjson.Result) {
	b.start = gjson.Parse(strings.Clone(start.Raw)) // the event's buffer is used again
	d.bytes += len(start.Raw)
}

// think takes a piece of a thought and returns its text.
func (d *decoder) think(b *block, v gjson.Result) string {
	piece := wire.Raw(v)
	if b != nil {
		b.thought.WriteString(piece)
		d.bytes += len(piece)
	}
	return piece
}

func (d *decoder) sign(b *block, v gjson.Result) {
	if b != nil {
		piece := wire.Raw(v)
		b.signature.WriteString(piece)
		d.bytes += len(piece)
	}
}

// DataBytes returns how much of thoughts and signatures has come.
func (d *decoder) DataBytes() int { return d.bytes }

// Data returns the blocks of the turn in their order: those of thoughts whole, of the others the type. It is nil when
// there is no thought.
func (d *decoder) Data() json.RawMessage {
	blocks, thoughts := make([]json.RawMessage, 0, len(d.kept)), false
	for _, b := range d.kept {
		encoded, err := b.encode()
		if err != nil {
			continue // it is made of JSON and of strings
		}
		thoughts = thoughts || isThought(b.kind)
		blocks = append(blocks, encoded)
	}
	if !thoughts {
		return nil
	}
	data, err := json.Marshal(blocks)
	if err != nil {
		return nil
	}
	return data
}

func isThought(kind string) bool { return kind == "thinking" || kind == "redacted_thinking" }

func (b *block) encode() (json.RawMessage, error) {
	if !isThought(b.kind) || !b.start.IsObject() {
		return json.Marshal(map[string]string{"type": b.kind})
	}
	if b.kind == "redacted_thinking" {
		return json.RawMessage(b.start.Raw), nil
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(b.start.Raw), &members); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"thinking": wire.Whole(b.thought.String()), "signature": wire.Whole(b.signature.String())} {
		encoded, err := json.Marshal(text)
		if err != nil {
			return nil, err
		}
		members[name] = encoded
	}
	return json.Marshal(members)
}
