package openai

import (
	"bytes"
	"encoding/json"

	"github.com/tidwall/gjson"

	"github.com/larirun/lari/internal/platform/llm/wire"
)

// decoder reads Chat Completions chunks, and the habits of the servers that speak the format.
type decoder struct {
	numbered bool // a choice of the index 0 came: others are not ours
	data     wire.Fields
}

// Data returns the members of the message that the server wants back.
func (d *decoder) Data() json.RawMessage { return d.data.JSON() }

// DataBytes returns how much of them has come.
func (d *decoder) DataBytes() int { return d.data.Bytes() }

// Decode reads one event into the turn.
func (d *decoder) Decode(t *wire.Turn, e wire.Event) {
	data := bytes.TrimSpace(e.Data)
	switch {
	case len(data) == 0:
	case len(data) >= 6 && bytes.EqualFold(data[:6], []byte("[DONE]")):
		t.End()
	case !gjson.ValidBytes(data):
		if data[0] == '{' || data[0] == '[' {
			data = []byte(`{"error":"sent a piece of the stream that is not JSON"}`)
		}
		t.Fail(data)
	case e.Type == "error":
		t.Fail(data)
	default:
		d.event(t, gjson.ParseBytes(data), 0)
	}
}

// maxLists bounds lists in lists.
const maxLists = 4

func (d *decoder) event(t *wire.Turn, v gjson.Result, depth int) {
	if v.IsArray() && depth < maxLists { // Gemini's endpoint wraps errors in a list
		v.ForEach(func(_, item gjson.Result) bool {
			d.event(t, item, depth+1)
			return true
		})
		return
	}
	choices := v.Get("choices")
	isAnswer := choices.IsArray() && len(choices.Array()) > 0
	switch {
	case wire.IsError(v, isAnswer):
		t.Fail([]byte(v.Raw))
		return
	case !isAnswer && wire.IsSuspect(v):
		t.Suspect([]byte(v.Raw))
	}
	t.Model(v.Get("model").Str)
	for _, c := range choices.Array() {
		if !d.isOurs(c) {
			continue
		}
		if wire.IsError(c, true) {
			t.Fail([]byte(c.Raw))
			return
		}
		d.choice(t, c)
		usage(t, c.Get("usage"))
	}
	usage(t, v.Get("usage"))
	usage(t, v.Get("x_groq.usage"))
}

// isOurs reports whether a choice is the requested one, that of the index 0. Some servers number the
// pieces instead.
func (d *decoder) isOurs(c gjson.Result) bool {
	if c.Get("index").Int() == 0 {
		d.numbered = true
	}
	return !d.numbered || c.Get("index").Int() == 0
}

func (d *decoder) choice(t *wire.Turn, c gjson.Result) {
	delta := c.Get("delta")
	if !delta.IsObject() {
		// The whole message, or a piece of the older format; what has come in pieces is not taken again.
		if delta = c.Get("message"); !delta.IsObject() || t.HasContent() {
			delta = gjson.Result{}
		}
		t.Text(wire.Raw(c.Get("text")))
	}
	d.content(t, delta.Get("content"), 0)
	t.Refusal(wire.Raw(delta.Get("refusal")))
	for _, name := range []string{"reasoning_content", "reasoning", "thinking", "reasoning_details"} { // the same under several names
		if piece := delta.Get(name); piece.Type == gjson.String && piece.Str != "" || piece.IsArray() || piece.IsObject() {
			thinking(t, piece, 0)
			break
		}
	}
	d.keep(t, delta)
	calls(t, delta)
	t.Finish(c.Get("finish_reason").Str)
}

// keep takes the members that have to come back: what the model thought, under whatever name, and signatures.
func (d *decoder) keep(t *wire.Turn, delta gjson.Result) {
	delta.ForEach(func(name, v gjson.Result) bool {
		isEmpty := v.Type == gjson.String && v.Str == "" || v.IsArray() && len(v.Array()) == 0
		switch {
		case !wire.IsProviderData(name.Str), v.Type == gjson.Null:
		case !isEmpty:
			d.data.Add(name.Str, v)
			t.Work(0)
		case name.Str == reasoningContent: // servers that demand it take it empty as well
			d.data.Add(name.Str, v)
		}
		return true
	})
}

const reasoningContent = "reasoning_content"

// content takes text that is a string, a part with a type, or a list of parts.
func (d *decoder) content(t *wire.Turn, v gjson.Result, depth int) {
	switch {
	case depth > maxLists:
	case v.IsArray():
		v.ForEach(func(_, part gjson.Result) bool {
			d.content(t, part, depth+1)
			return true
		})
	case v.IsObject():
		switch v.Get("type").Str {
		case "", "text", "output_text":
			text := v.Get("text")
			if text.IsObject() {
				text = text.Get("value")
			}
			t.Text(wire.Raw(text))
		case "refusal":
			t.Refusal(wire.Raw(v.Get("refusal")))
		case "thinking", "reasoning", "reasoning_text":
			thinking(t, v, 0)
			d.data.Add("content", gjson.Parse("["+v.Raw+"]")) // it has to stand in the content again
		}
	default:
		t.Text(wire.Raw(v))
	}
}

// thinking takes what the model thinks, in the same shapes.
func thinking(t *wire.Turn, v gjson.Result, depth int) {
	switch {
	case depth > maxLists:
	case v.IsArray():
		v.ForEach(func(_, part gjson.Result) bool {
			thinking(t, part, depth+1)
			return true
		})
	case v.IsObject():
		for _, name := range []string{"thinking", "reasoning", "text", "summary", "content"} {
			if inner := v.Get(name); inner.Exists() {
				thinking(t, inner, depth+1)
				return
			}
		}
		t.Work(len(wire.Raw(v.Get("data")))) // encrypted
	default:
		t.Reasoning(wire.Raw(v))
	}
}

func calls(t *wire.Turn, delta gjson.Result) {
	pieces := delta.Get("tool_calls")
	if pieces.IsObject() {
		call(t, pieces)
		return
	}
	for _, piece := range pieces.Array() {
		if piece.IsObject() {
			call(t, piece)
		}
	}
	if old := delta.Get("function_call"); old.IsObject() { // the format before tools
		t.ToolCall(wire.Piece{Index: 0, Name: wire.Raw(old.Get("name")), Arguments: arguments(old.Get("arguments"))})
	}
}

func call(t *wire.Turn, piece gjson.Result) {
	index := int64(-1)
	if v := piece.Get("index"); v.Type == gjson.Number || v.Type == gjson.String && v.Str != "" {
		index = max(v.Int(), 0)
	}
	function := piece.Get("function")
	if !function.IsObject() {
		function = piece
	}
	t.ToolCall(wire.Piece{
		Index: index, ID: wire.Raw(piece.Get("id")), Name: wire.Raw(function.Get("name")), Arguments: arguments(function.Get("arguments")),
		Data: callData(piece),
	})
}

// inFunction marks a member of a call's function.
const inFunction = "function."

// callData returns the members of a call that have to come back with it: signatures of thoughts.
func callData(piece gjson.Result) map[string]gjson.Result {
	var data map[string]gjson.Result
	take := func(within string) func(name, v gjson.Result) bool {
		return func(name, v gjson.Result) bool {
			if wire.IsProviderData(name.Str) && v.Type != gjson.Null {
				if data == nil {
					data = map[string]gjson.Result{}
				}
				data[within+name.Str] = v
			}
			return true
		}
	}
	piece.ForEach(take(""))
	if function := piece.Get("function"); function.IsObject() {
		function.ForEach(take(inFunction))
	}
	return data
}

// arguments are JSON in a string; some servers send the object itself.
func arguments(v gjson.Result) string {
	if v.IsObject() {
		return v.Raw
	}
	return wire.Raw(v)
}

func usage(t *wire.Turn, u gjson.Result) {
	if !u.IsObject() {
		return
	}
	input, output := count(u, "prompt_tokens", "input_tokens"), count(u, "completion_tokens", "output_tokens")
	// Some providers leave thinking out of the completion and count it in the total alone. It is billed.
	if total := wire.Tokens(u.Get("total_tokens")); input > 0 && total-input > output {
		output = total - input
	}
	t.Usage(input, output)
	details := u.Get("prompt_tokens_details")
	cached := max(wire.Tokens(details.Get("cached_tokens")), wire.Tokens(u.Get("cached_tokens")), wire.Tokens(u.Get("prompt_cache_hit_tokens")))
	t.CacheUsage(cached, wire.Tokens(details.Get("cache_write_tokens")))
}

func count(u gjson.Result, names ...string) int64 {
	for _, name := range names {
		if n := wire.Tokens(u.Get(name)); n > 0 {
			return n
		}
	}
	return 0
}
