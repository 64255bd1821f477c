package api

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/swaggest/jsonschema-go"
	"github.com/swaggest/openapi-go/openapi31"

	"github.com/larirun/lari/internal/event"
)

const schemaEvent = "Event"

// addEvents describes the envelope of events once for each type, with what its data holds.
func addEvents(r *openapi31.Reflector) error {
	schemas := r.SpecEns().ComponentsEns().Schemas
	envelope, used := schemas[schemaEvent]
	if !used {
		return nil
	}
	var kinds []any
	mapping := map[string]string{}
	for _, t := range event.Types() {
		s, err := eventSchema(r, envelope, t)
		if err != nil {
			return fmt.Errorf("describe the event %s: %w", t, err)
		}
		name := eventName(t)
		schemas[name] = s
		ref := "#/components/schemas/" + name
		kinds = append(kinds, map[string]any{"$ref": ref})
		mapping[string(t)] = ref
	}
	schemas[schemaEvent] = map[string]any{
		"description":   "An entry of a run's log. `seq` starts at 1 and has no holes per run, but for old deltas that were compacted.",
		"oneOf":         kinds,
		"discriminator": map[string]any{"propertyName": "type", "mapping": mapping},
	}
	return nil
}

// eventName makes RunStartedEvent of run_started.
func eventName(t event.Type) string {
	var name strings.Builder
	for word := range strings.SplitSeq(string(t), "_") {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String() + schemaEvent
}

func eventSchema(r *openapi31.Reflector, envelope map[string]any, t event.Type) (map[string]any, error) {
	data := map[string]any{}
	if payload := t.Payload(); payload != nil {
		s, err := r.Reflect(payload, jsonschema.InlineRefs, jsonschema.InterceptProp(requireAnswer))
		if err != nil {
			return nil, err
		}
		if data, err = s.ToSchemaOrBool().ToSimpleMap(); err != nil {
			return nil, err
		}
	}
	properties := map[string]any{}
	of, _ := envelope["properties"].(map[string]any)
	for name, s := range of {
		properties[name] = s
	}
	properties["type"] = map[string]any{"type": "string", "const": string(t)}
	properties["data"] = data
	return map[string]any{"type": "object", "properties": properties, "required": envelope["required"]}, nil
}

// requireAnswer is what schemaOfRules does for answers, here outside of any operation.
func requireAnswer(p jsonschema.InterceptPropParams) error {
	if !p.Processed || p.ParentSchema == nil || p.PropertySchema == nil {
		return nil
	}
	tag := p.Field.Tag.Get("json")
	if tag != "" && !strings.Contains(tag, ",omitempty") && !strings.Contains(tag, ",omitzero") {
		require(p.ParentSchema, p.Name)
	}
	if kind := p.Field.Type.Kind(); kind == reflect.Pointer && strings.Contains(tag, ",omitempty") {
		p.PropertySchema.RemoveType(jsonschema.Null)
	}
	return nil
}
