package api

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/swaggest/jsonschema-go"
	"github.com/swaggest/openapi-go"
	"github.com/swaggest/openapi-go/openapi31"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// newReflector knows how this house's types and validate tags look in JSON Schema. A type that stands in
// answers too has a schema of its own as input, since its fields are required by other rules there.
func newReflector(answers map[reflect.Type]bool) *openapi31.Reflector {
	r := openapi31.NewReflector()
	taken := map[string]reflect.Type{}
	for _, scalar := range []any{uuid.UUID{}, decimal.Decimal{}, clock.Time{}, Position(0)} {
		r.InlineDefinition(scalar)
	}
	r.DefaultOptions = append(r.DefaultOptions,
		func(rc *jsonschema.ReflectContext) { rc.EnvelopNullability = true },
		jsonschema.InterceptSchema(schemaOfType),
		jsonschema.InterceptProp(schemaOfRules),
		jsonschema.InterceptNullability(neverNull),
		func(rc *jsonschema.ReflectContext) {
			jsonschema.InterceptDefName(func(t reflect.Type, name string) string {
				name = defName(taken, t, name)
				if oc, ok := openapi.OperationCtx(rc); ok && !oc.IsProcessingResponse() && answers[t] {
					name += "Input"
				}
				return name
			})(rc)
		},
	)
	return r
}

// structsIn adds the structs that a type is made of.
func structsIn(t reflect.Type, found map[reflect.Type]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || found[t] {
		return
	}
	found[t] = true
	for i := range t.NumField() {
		structsIn(t.Field(i).Type, found)
	}
}

// defName is the type's own name where only one type has it; the library would put the package before.
func defName(taken map[string]reflect.Type, t reflect.Type, name string) string {
	own := t.Name()
	if generic, args, ok := strings.Cut(own, "["); ok { // Page[….runView] is RunViewPage
		arg := strings.TrimSuffix(args[strings.LastIndexByte(args, '.')+1:], "]")
		if arg != "" {
			own = strings.ToUpper(arg[:1]) + arg[1:] + generic
		}
	}
	if own == "" {
		return name
	}
	own = strings.ToUpper(own[:1]) + own[1:]
	if other, ok := taken[own]; ok && other != t {
		return name
	}
	taken[own] = t
	return own
}

// schemaOfType describes types that read and write themselves.
func schemaOfType(p jsonschema.InterceptSchemaParams) (stop bool, err error) {
	t := p.Value.Type()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if p.Processed {
		if oc, ok := openapi.OperationCtx(p.Context); ok && t.Kind() == reflect.Struct &&
			oc.ProcessingIn() == openapi.InBody && !oc.IsProcessingResponse() && p.Schema.HasType(jsonschema.Object) {
			p.Schema.AdditionalProperties = (&jsonschema.SchemaOrBool{}).WithTypeBoolean(false)
		}
		return false, nil
	}
	switch t {
	case uuidType:
		p.Schema.WithType(jsonschema.String.Type()).WithFormat("uuid")
	case decimalType:
		p.Schema.WithType(jsonschema.String.Type()).WithPattern(`^-?[0-9]+(\.[0-9]+)?$`)
	case reflect.TypeFor[clock.Time]():
		p.Schema.WithType(jsonschema.String.Type()).WithFormat("date-time")
	case reflect.TypeFor[Position]():
		p.Schema.WithType(jsonschema.Integer.Type()).WithFormat("int64").WithMinimum(0)
	case reflect.TypeFor[fault.Code]():
		p.Schema.WithType(jsonschema.String.Type())
		for _, code := range fault.Codes() {
			p.Schema.Enum = append(p.Schema.Enum, code)
		}
	case reflect.TypeFor[event.Type]():
		p.Schema.WithType(jsonschema.String.Type())
		for _, kind := range event.Types() {
			p.Schema.Enum = append(p.Schema.Enum, kind)
		}
	default:
		return false, nil
	}
	return true, nil
}

// neverNull takes null from all inputs, where it means absent and need not be said, and from slices and
// maps of answers, which hold empty ones instead.
func neverNull(p jsonschema.InterceptNullabilityParams) {
	oc, ok := openapi.OperationCtx(p.Context)
	answer := ok && oc.IsProcessingResponse()
	if kind := p.Type.Kind(); answer && kind != reflect.Slice && kind != reflect.Map {
		return
	}
	switch s := p.Schema; {
	case len(s.AnyOf) == 2 && s.AnyOf[1].TypeObject != nil && s.AnyOf[1].TypeObject.Ref != nil:
		s.Ref, s.AnyOf = s.AnyOf[1].TypeObject.Ref, nil
	case s.Ref == nil:
		s.RemoveType(jsonschema.Null)
	}
}

// schemaOfRules turns a field's validate tag into keywords. In answers every field that is not
// omitempty is there.
func schemaOfRules(p jsonschema.InterceptPropParams) error {
	if !p.Processed || p.PropertySchema == nil {
		return nil
	}
	if s := p.PropertySchema; len(s.AnyOf) == 2 && s.AnyOf[1].TypeObject != nil && s.AnyOf[1].TypeObject.Ref != nil {
		s.Type, s.AnyOf[1].TypeObject.Type = nil, nil // left over from the struct, and wrong of null
	}
	if oc, ok := openapi.OperationCtx(p.Context); ok && oc.IsProcessingResponse() {
		tag := p.Field.Tag.Get("json")
		if p.ParentSchema != nil && tag != "" && !strings.Contains(tag, ",omitempty") && !strings.Contains(tag, ",omitzero") {
			require(p.ParentSchema, p.Name)
		}
	}
	describeGuard(p.PropertySchema, p.Field.Tag)
	schema, t := p.PropertySchema, p.Field.Type
	if p.Field.Tag.Get("nullable") == "true" && schema.Type != nil { // a list whose absence says something else than an empty one
		schema.AddType(jsonschema.Null)
	}
	if schema.HasType(jsonschema.Null) && len(schema.Enum) > 0 && !slices.Contains(schema.Enum, nil) {
		schema.Enum = append(schema.Enum, nil) // else the list would leave out what the type allows
	}
	if t.Kind() == reflect.Slice && len(schema.Examples) == 1 { // the tag shows one item
		if _, whole := schema.Examples[0].([]any); !whole {
			schema.Examples = []any{schema.Examples}
		}
	}
	for rule := range strings.SplitSeq(p.Field.Tag.Get("validate"), ",") {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		name, arg, _ := strings.Cut(rule, "=")
		switch {
		case name == "required" && schema == p.PropertySchema:
			if p.ParentSchema != nil {
				require(p.ParentSchema, p.Name)
			}
		case name == "dive":
			if t.Kind() != reflect.Slice || schema.Items == nil || schema.Items.SchemaOrBool == nil ||
				schema.Items.SchemaOrBool.TypeObject == nil {
				return nil // rules of a map's values have no keyword here
			}
			schema, t = schema.Items.SchemaOrBool.TypeObject, t.Elem()
		default:
			if err := keyword(schema, t, name, arg); err != nil {
				return fmt.Errorf("%s: the rule %s: %w", p.Field.Name, rule, err)
			}
		}
	}
	return nil
}

func require(s *jsonschema.Schema, name string) {
	if !slices.Contains(s.Required, name) {
		s.Required = append(s.Required, name)
	}
}

func keyword(s *jsonschema.Schema, t reflect.Type, name, arg string) error {
	switch name {
	case "oneof":
		s.Enum = nil
		for v := range strings.FieldsSeq(arg) {
			s.Enum = append(s.Enum, v)
		}
	case "uuid":
		s.WithFormat("uuid")
	case "email":
		s.WithFormat("email")
	case "url", "uri", "http_url", "https_url":
		s.WithFormat("uri")
	case "unique":
		s.WithUniqueItems(true)
	case "min", "gte", "max", "lte", "len", "gt", "lt":
		n, err := strconv.ParseFloat(arg, 64)
		if err != nil {
			return err
		}
		bound(s, t.Kind(), name, n)
	}
	return nil
}

func bound(s *jsonschema.Schema, k reflect.Kind, name string, n float64) {
	whole := int64(math.Round(n))
	low, high := name == "min" || name == "gte" || name == "len", name == "max" || name == "lte" || name == "len"
	switch {
	case k == reflect.String && low:
		s.WithMinLength(whole)
	case k == reflect.Slice && low:
		s.WithMinItems(whole)
	case k == reflect.Map && low:
		s.WithMinProperties(whole)
	case low && numeric(k):
		s.WithMinimum(n)
	}
	switch {
	case k == reflect.String && high:
		s.WithMaxLength(whole)
	case k == reflect.Slice && high:
		s.WithMaxItems(whole)
	case k == reflect.Map && high:
		s.WithMaxProperties(whole)
	case high && numeric(k):
		s.WithMaximum(n)
	}
	switch {
	case name == "gt" && numeric(k):
		s.WithExclusiveMinimum(n)
	case name == "lt" && numeric(k):
		s.WithExclusiveMaximum(n)
	}
}

// numeric reports whether bounds of the kind are bounds of a number; those of a decimal, which is a
// string in JSON, have no keyword.
func numeric(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Float64 }

// problemSchema is that of Problem, with its parts written out.
func problemSchema(r *openapi31.Reflector) (map[string]any, error) {
	s, err := r.Reflect(Problem{}, jsonschema.InlineRefs)
	if err != nil {
		return nil, fmt.Errorf("describe problems: %w", err)
	}
	s.Required = []string{"type", "title", "status", "detail", "code", "instance"}
	return s.ToSchemaOrBool().ToSimpleMap()
}
