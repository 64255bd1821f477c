package wire

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/larirun/lari/internal/platform/llm"
)

// Providers hand out data that must come back with the conversation, above all with a tool's result: what the model
// thought, signatures of it, blocks that are encrypted. Nobody but the provider reads them. This file gathers them from
// the pieces of a stream, seals them with where they came from, and opens the seal for the same provider alone.

// sealed is llm.Done.ProviderData, and llm.Message's.
type sealed struct {
	Origin string          `json:"origin"` // the provider and its host
	Data   json.RawMessage `json:"data,omitempty"`
}

// seal returns data with where it came from; nil when neither the turn nor a call of it has any.
func seal(origin string, data json.RawMessage, ofCalls bool) json.RawMessage {
	if len(data) == 0 && !ofCalls {
		return nil
	}
	encoded, err := json.Marshal(sealed{Origin: origin, Data: data})
	if err != nil { // data is JSON that was encoded here
		return nil
	}
	return encoded
}

// open returns the message with the data of its turn as the provider gave it, or without any when it came from
// somewhere else.
func open(origin string, m llm.Message) llm.Message {
	var s sealed
	if len(m.ProviderData) > 0 && json.Unmarshal(m.ProviderData, &s) == nil && s.Origin == origin {
		m.ProviderData = s.Data
		return m
	}
	m.ProviderData = nil
	m.ToolCalls = slices.Clone(m.ToolCalls)
	for i := range m.ToolCalls {
		m.ToolCalls[i].ProviderData = ""
	}
	return m
}

// Fields gathers members of an object that comes in pieces. The zero value is empty.
type Fields struct {
	members map[string]any
	bytes   int
}

// maxFieldDepth bounds how deep members are looked into.
const maxFieldDepth = 32

// Add takes a piece of a member.
func (f *Fields) Add(name string, piece gjson.Result) {
	if piece.Type == gjson.Null {
		return
	}
	if f.members == nil {
		f.members = map[string]any{}
	}
	f.bytes += len(piece.Raw)
	f.members[name] = mergeValue(name, f.members[name], valueOf(piece, 0), true)
}

// JSON returns the object; nil when it has no members.
func (f *Fields) JSON() json.RawMessage {
	if len(f.members) == 0 {
		return nil
	}
	encoded, err := json.Marshal(whole(f.members))
	if err != nil { // it was made of JSON
		return nil
	}
	return encoded
}

// Bytes returns how much has come, for bounds.
func (f *Fields) Bytes() int { return f.bytes }

// valueOf decodes a value. Texts keep halves of characters until whole puts them together.
func valueOf(v gjson.Result, depth int) any {
	switch {
	case depth > maxFieldDepth, v.Type == gjson.Null:
		return nil
	case v.Type == gjson.String:
		return Raw(v)
	case v.Type == gjson.Number:
		return json.Number(v.Raw)
	case v.IsArray():
		items := []any{}
		v.ForEach(func(_, item gjson.Result) bool {
			items = append(items, valueOf(item, depth+1))
			return true
		})
		return items
	case v.IsObject():
		members := map[string]any{}
		v.ForEach(func(name, member gjson.Result) bool {
			members[name.Str] = valueOf(member, depth+1)
			return true
		})
		return members
	}
	return v.Bool()
}

// fixed are members that are sent whole, and repeated with each piece.
var fixed = []string{"type", "index", "id", "format", "name", "role"}

// mergeValue returns a member with the next piece of it. Texts that stream are put together; texts in an object that
// is no item of a list come whole, and the last one counts.
func mergeValue(name string, have, piece any, streams bool) any {
	switch next := piece.(type) {
	case nil:
		return have
	case string:
		text, isText := textOf(have)
		switch {
		case isText && next == "", isText && text != "" && slices.Contains(fixed, name):
			return have
		case isText && slices.Contains(fixed, name):
			return next
		case isText && streams:
			return appendText(have, next)
		}
	case map[string]any:
		switch members := have.(type) {
		case map[string]any:
			return mergeObject(members, next, false)
		case []any:
			return appendItem(members, next)
		}
	case []any:
		items, isList := have.([]any)
		if !isList {
			items = nil
		}
		for _, item := range next {
			items = appendItem(items, item)
		}
		return items
	}
	return piece
}

// appendText puts the next piece behind a text, which is a builder from its second piece on.
func appendText(have any, next string) any {
	builder, ok := have.(*strings.Builder)
	if !ok {
		builder = &strings.Builder{}
		text, _ := textOf(have)
		builder.WriteString(text)
	}
	builder.WriteString(next)
	return builder
}

func textOf(v any) (string, bool) {
	switch text := v.(type) {
	case string:
		return text, true
	case *strings.Builder:
		return text.String(), true
	}
	return "", false
}

func mergeObject(have, piece map[string]any, streams bool) map[string]any {
	for name, value := range piece {
		have[name] = mergeValue(name, have[name], value, streams)
	}
	return have
}

// appendItem adds an item to a list, or to the item of the list that it is the next piece of: that of its index, or the
// last one.
func appendItem(items []any, piece any) []any {
	next, isObject := piece.(map[string]any)
	if !isObject {
		return append(items, piece)
	}
	for i := len(items) - 1; i >= 0; i-- {
		item, ok := items[i].(map[string]any)
		if ok && continues(item, next, i == len(items)-1) {
			items[i] = mergeObject(item, next, true)
			return items
		}
	}
	// A list that begins with it: its own lists are put together by the same rule.
	return append(items, mergeObject(map[string]any{}, next, true))
}

// seals are members that stand at the end of a block.
var seals = []string{"signature", "data", "encrypted"}

// continues reports whether piece goes on with item rather than beginning another one.
func continues(item, piece map[string]any, isLast bool) bool {
	for _, name := range []string{"type", "id"} { // which are never put together: see fixed
		if a, b := item[name], piece[name]; a != nil && b != nil && !isSame(a, b) {
			return false
		}
	}
	if index := piece["index"]; index != nil || item["index"] != nil {
		return isSame(index, item["index"])
	}
	if !isLast {
		return false
	}
	for _, name := range seals {
		if text, _ := textOf(item[name]); text != "" {
			return false
		}
	}
	return true
}

// isSame compares scalars; lists and objects are never the same.
func isSame(a, b any) bool {
	switch a.(type) {
	case string, json.Number, bool:
		switch b.(type) {
		case string, json.Number, bool:
			return a == b
		}
	}
	return false
}

// whole returns the value with all texts valid.
func whole(v any) any {
	switch value := v.(type) {
	case string:
		return Whole(value)
	case *strings.Builder:
		return Whole(value.String())
	case map[string]any:
		for name, member := range value {
			value[name] = whole(member)
		}
	case []any:
		for i, item := range value {
			value[i] = whole(item)
		}
	}
	return v
}

// IsProviderData reports whether a member of a message or a tool call is opaque data that has to come back.
func IsProviderData(name string) bool {
	name = strings.ToLower(name)
	if name == "extra_content" || name == "provider_specific_fields" {
		return true
	}
	return slices.ContainsFunc([]string{"reasoning", "thinking", "thought", "signature", "encrypted", "opaque"}, func(part string) bool {
		return strings.Contains(name, part)
	})
}
