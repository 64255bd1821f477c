package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/swaggest/openapi-go/openapi31"
)

const (
	sampleID   = "0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f"
	sampleTime = "2026-11-25T09:30:00.000Z"
	sampleHash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

// sampler makes example values of schemas: from example tags where there are some, else a plain value of
// the type. A request shows what must be said and what has an example; an answer shows everything.
type sampler struct {
	schemas map[string]map[string]any
	answer  bool
}

// addExamples gives every JSON body of the operation an example.
func addExamples(spec *openapi31.Spec, op *openapi31.Operation, own map[string]string) {
	schemas := spec.Components.Schemas
	if op.RequestBody != nil && op.RequestBody.RequestBody != nil {
		s := sampler{schemas: schemas}
		for kind, m := range op.RequestBody.RequestBody.Content {
			m.Example = new(s.of(m.Schema, ""))
			op.RequestBody.RequestBody.Content[kind] = m
		}
	}
	for _, r := range op.Responses.MapOfResponseOrReferenceValues {
		if r.Response == nil {
			continue
		}
		s := sampler{schemas: schemas, answer: true}
		for kind, m := range r.Response.Content {
			switch {
			case own[kind] != "":
				m.Example = new(any(own[kind]))
			case kind == jsonType:
				m.Example = new(s.of(m.Schema, ""))
			case m.MapOfAnything[extensionItem] != nil:
				item, _ := m.MapOfAnything[extensionItem].(map[string]any)
				m.Example = new(any(s.frame(item)))
			}
			r.Response.Content[kind] = m
		}
	}
}

// frame is a server-sent event of the schema.
func (s sampler) frame(schema map[string]any) string {
	value := s.of(schema, "")
	data, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	m, _ := value.(map[string]any)
	return fmt.Sprintf("id: %v\nevent: %v\ndata: %s\n\n", m["seq"], m["type"], data)
}

func (s sampler) of(schema map[string]any, name string) any {
	if ref, ok := schema["$ref"].(string); ok {
		return s.of(s.schemas[strings.TrimPrefix(ref, "#/components/schemas/")], name)
	}
	if examples, ok := schema["examples"].([]any); ok && len(examples) > 0 {
		return examples[0]
	}
	for _, keyword := range []string{"const", "default"} {
		if v, ok := schema[keyword]; ok {
			return v
		}
	}
	if values, ok := schema["enum"].([]any); ok && len(values) > 0 {
		return values[0]
	}
	for _, keyword := range []string{"oneOf", "anyOf"} {
		for _, kind := range schemaList(schema[keyword]) {
			if kind["type"] != "null" {
				return s.of(kind, name)
			}
		}
	}
	switch typeOf(schema) {
	case "object":
		return s.object(schema)
	case "array":
		return s.array(schema, name)
	case "integer", "number":
		return sampleNumber(schema, name)
	case "boolean":
		return true
	case "string":
		return sampleText(schema, name)
	}
	return map[string]any{} // any JSON
}

func (s sampler) object(schema map[string]any) any {
	out := map[string]any{}
	required := stringList(schema["required"])
	properties, _ := schema["properties"].(map[string]any)
	for name, p := range properties {
		of, _ := p.(map[string]any)
		switch _, has := of["examples"]; {
		case s.answer && seldom(name) && nullable(of):
			out[name] = nil
		case s.answer && seldom(name) && !slices.Contains(required, name):
		case s.answer || has || slices.Contains(required, name):
			out[name] = s.of(of, name)
		}
	}
	for _, name := range []string{"name", "title", "description", "note", "reason"} { // a change of nothing shows nothing
		if of, ok := properties[name].(map[string]any); ok && len(out) == 0 {
			out[name] = s.of(of, name)
		}
	}
	return out
}

// seldom tells fields that most answers leave empty.
func seldom(name string) bool {
	switch name {
	case "error", "cancel", "broken", "disabled_at", "disabled_reason", "failing_since", "revoked_at", "suspended_at", "deleted_at", "last_error", "row_key":
		return true
	}
	return false
}

func nullable(schema map[string]any) bool {
	return slices.Contains(stringList(schema["type"]), "null") ||
		slices.ContainsFunc(schemaList(schema["anyOf"]), func(s map[string]any) bool { return s["type"] == "null" })
}

func (s sampler) array(schema map[string]any, name string) any {
	items, _ := schema["items"].(map[string]any)
	if items == nil {
		return []any{}
	}
	return []any{s.of(items, strings.TrimSuffix(name, "s"))}
}

func sampleNumber(schema map[string]any, name string) any {
	if name == "status_code" {
		return 200
	}
	if low, ok := schema["minimum"].(float64); ok && low > 1 {
		return low
	}
	return 1
}

func sampleText(schema map[string]any, name string) string {
	format, _ := schema["format"].(string)
	pattern, _ := schema["pattern"].(string)
	switch {
	case format == "uuid", name == "id", strings.HasSuffix(name, "_id"):
		return sampleID
	case format == "date-time":
		return sampleTime
	case format == "uri", format == "uri-reference", strings.HasSuffix(name, "url"):
		return "https://example.com/"
	case format == "email", strings.HasSuffix(name, "email"):
		return "ada@example.com"
	case strings.HasPrefix(pattern, "^-?[0-9]"), strings.HasSuffix(name, "_usd"):
		return "0.0042"
	case strings.HasSuffix(name, "hash"):
		return sampleHash
	case strings.HasSuffix(name, "slug"):
		return "assistant"
	case strings.HasSuffix(name, "cursor"):
		return "MDE5N2E3Yzg"
	case name == "actor", strings.HasSuffix(name, "_by"), name == "by":
		return "user:ada"
	case strings.HasSuffix(name, "_ip"):
		return "192.0.2.7"
	case name == "content", name == "output":
		return "Every run keeps its whole log."
	case name == "title":
		return "Guarantees"
	case name == "name":
		return "Support"
	case name == "description":
		return "Answers customers."
	case name == "text", name == "":
		return "Every run"
	}
	return strings.ReplaceAll(name, "_", " ")
}

// typeOf is the first type that is not null.
func typeOf(schema map[string]any) string {
	if one, ok := schema["type"].(string); ok {
		return one
	}
	for _, t := range stringList(schema["type"]) {
		if t != "null" {
			return t
		}
	}
	if schema["properties"] != nil {
		return "object"
	}
	return ""
}

func stringList(v any) []string {
	switch l := v.(type) {
	case []string:
		return l
	case []any:
		var out []string
		for _, e := range l {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func schemaList(v any) []map[string]any {
	l, _ := v.([]any)
	var out []map[string]any
	for _, e := range l {
		if s, ok := e.(map[string]any); ok {
			out = append(out, s)
		}
	}
	return out
}
