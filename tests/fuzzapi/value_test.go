package fuzzapi

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/tests/contract"
)

// maker makes values that fit schemas.
type maker struct {
	*rand.Rand
	doc      *contract.Document
	pool     *pool
	marker   string // is in every free text, so that a row can be recognised wherever it turns up
	receiver string
}

func (g maker) one(percent int) bool { return g.IntN(100) < percent }

func pick[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// value makes one of a schema; name is the property's, by which references are known.
func (g maker) value(schema contract.Schema, name string, depth int) any {
	s := g.doc.Resolve(schema)
	if len(s) == 0 || depth > 6 {
		return g.anything(depth)
	}
	if examples, ok := s["examples"].([]any); ok && len(examples) > 0 && g.one(40) {
		return plain(examples[0])
	}
	if c, ok := s["const"]; ok {
		return plain(c)
	}
	if values, ok := s["enum"].([]any); ok && len(values) > 0 {
		return plain(values[g.IntN(len(values))])
	}
	for _, keyword := range []string{"oneOf", "anyOf"} {
		if kinds, ok := s[keyword].([]any); ok && len(kinds) > 0 {
			kind, _ := kinds[g.IntN(len(kinds))].(map[string]any)
			return g.value(kind, name, depth+1)
		}
	}
	switch kindOf(s) {
	case "object":
		return g.object(s, depth)
	case "array":
		return g.array(s, name, depth)
	case "integer":
		return g.whole(s)
	case "number":
		return g.whole(s)
	case "boolean":
		return g.one(50)
	case "string":
		return g.text(s, name)
	}
	return g.anything(depth)
}

// plain turns what the description holds into what encoding/json writes: its numbers are texts of their own.
func plain(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return v
	}
	return json.RawMessage(text)
}

func kindOf(s contract.Schema) string {
	if kind, ok := s["type"].(string); ok {
		return kind
	}
	kinds, _ := s["type"].([]any)
	for _, kind := range kinds {
		if name, ok := kind.(string); ok && name != "null" {
			return name
		}
	}
	return ""
}

func (g maker) object(s contract.Schema, depth int) map[string]any {
	out := map[string]any{}
	required, _ := s["required"].([]any)
	properties, _ := s["properties"].(map[string]any)
	for _, name := range sortedKeys(properties) {
		p, _ := properties[name].(map[string]any)
		if slices.Contains(required, any(name)) || g.one(30) && (g.one(5) || g.has(name, p)) {
			out[name] = g.value(p, name, depth+1)
		}
	}
	if of, ok := s["additionalProperties"].(map[string]any); ok && len(properties) == 0 {
		for range g.IntN(4) {
			out[g.word()] = g.value(of, "", depth+1)
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (g maker) array(s contract.Schema, name string, depth int) []any {
	low, high := bound(s, "minItems", 0), bound(s, "maxItems", 4)
	items, _ := s["items"].(map[string]any)
	out := []any{}
	for range int(low) + g.IntN(int(min(high, low+4)-low)+1) {
		v := g.value(items, strings.TrimSuffix(name, "s"), depth+1)
		if s["uniqueItems"] == true && slices.ContainsFunc(out, func(o any) bool { return fmt.Sprint(o) == fmt.Sprint(v) }) {
			continue
		}
		out = append(out, v)
	}
	return out
}

func bound(s contract.Schema, keyword string, fallback float64) float64 {
	if n, ok := s[keyword].(json.Number); ok {
		if f, err := n.Float64(); err == nil {
			return f
		}
	}
	return fallback
}

func (g maker) whole(s contract.Schema) any {
	low, high := bound(s, "minimum", 0), bound(s, "maximum", 1000)
	switch g.IntN(4) {
	case 0:
		return int64(low)
	case 1:
		return int64(high)
	}
	return int64(low) + g.Int64N(int64(min(high, low+1000)-low)+1)
}

func (g maker) text(s contract.Schema, name string) string {
	format, _ := s["format"].(string)
	pattern, _ := s["pattern"].(string)
	switch {
	case format == "uuid", strings.HasSuffix(name, "_id"):
		return g.reference(name)
	case format == "date-time", strings.HasSuffix(name, "_at"):
		return time.Now().Add(time.Duration(g.IntN(200)-100) * time.Hour).UTC().Format(time.RFC3339Nano)
	case format == "uri", strings.HasSuffix(name, "url"):
		return g.receiver + "/" + g.word()
	case format == "email":
		return g.word() + "@example.com"
	case strings.HasPrefix(pattern, "^-?[0-9]"), strings.HasSuffix(name, "_usd"):
		return pick(g.Rand, "0", "0.5", "12.75", "100", "0.0000000001")
	case name == "slug":
		return g.word() + "-" + g.word()
	case name == "agent":
		return pick(g.Rand, "assistant", "assistant", "assistant", "assistant", g.reference("agent_id"), g.word())
	case name == "cursor", name == "timezone":
		return ""
	}
	low, high := int(bound(s, "minLength", 0)), int(bound(s, "maxLength", 400))
	out := g.marker + " " + g.word()
	switch g.IntN(8) {
	case 0:
		out += strings.Repeat("x", max(0, min(high, 4000)-len(out)))
	case 1:
		out += " ünïcödé \u202e \u2028 \U0001F468\u200d\U0001F469"
	case 2:
		out = g.word()
	}
	for len(out) < low {
		out += "x"
	}
	if runes := []rune(out); len(runes) > high {
		out = string(runes[:high])
	}
	return out
}

// has reports whether the tenant has what the property refers to, if it refers to anything.
func (g maker) has(name string, s contract.Schema) bool {
	return s["format"] != "uuid" || g.pool.pick(g.Rand, name) != nil
}

// reference is the id of a thing that the tenant has, if the name tells which.
func (g maker) reference(name string) string {
	if values := g.pool.pick(g.Rand, name); values != nil && g.one(80) {
		return values[name]
	}
	return g.uuid()
}

func (g maker) uuid() string {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(g.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id.String()
}

func (g maker) word() string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, 3+g.IntN(6))
	for i := range b {
		b[i] = letters[g.IntN(len(letters))]
	}
	return string(b)
}

// anything is any JSON.
func (g maker) anything(depth int) any {
	switch g.IntN(7 - min(depth, 2)) {
	case 0:
		return nil
	case 1:
		return g.one(50)
	case 2:
		return g.Int64N(1 << 40)
	case 3:
		return g.Float64()
	case 4:
		return g.marker + " " + g.word()
	case 5:
		return []any{g.word(), g.IntN(10)}
	}
	return map[string]any{g.word(): g.word(), g.word(): []any{nil, 1.5}}
}
