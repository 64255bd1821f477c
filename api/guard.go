package api

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/swaggest/jsonschema-go"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

// The tags of a body's field that needs a permission beside those of its route. With tagGuard alone any value
// but the zero value needs it; with tagGuardIf only the values that it lists, separated by spaces.
const (
	tagGuard   = "permission"
	tagGuardIf = "permission_if"
)

// fieldGuard is a field of the body that only callers with a permission may fill.
type fieldGuard struct {
	name       string // as the caller writes it: run.webhook_url
	index      [][]int
	permission auth.Permission
	values     []string // none: every value but the zero value
}

// guardsOf finds the guards of an input type.
func guardsOf(t reflect.Type) ([]fieldGuard, error) {
	found, err := addGuards(nil, t, "", nil, nil)
	for _, g := range found {
		if !g.permission.Known() {
			return nil, fmt.Errorf("field %s: %q is not a permission", g.name, g.permission)
		}
	}
	return found, err
}

func addGuards(found []fieldGuard, t reflect.Type, prefix string, at [][]int, within []reflect.Type) ([]fieldGuard, error) {
	if slices.Contains(within, t) {
		return found, nil
	}
	within = append(slices.Clone(within), t)
	for f := range fieldsOf(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		here := append(slices.Clone(at), f.Index)
		if permission, guarded := f.Tag.Lookup(tagGuard); guarded {
			if name == "" || name == "-" {
				return nil, fmt.Errorf("field %s: only a field of the body can need a permission", f.Name)
			}
			found = append(found, fieldGuard{prefix + name, here, auth.Permission(permission), strings.Fields(f.Tag.Get(tagGuardIf))})
			continue
		}
		elem := f.Type
		for elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		if name != "" {
			name = prefix + name + "."
		}
		var err error
		switch kind := elem.Kind(); {
		case kind == reflect.Struct:
			if found, err = addGuards(found, elem, name, here, within); err != nil {
				return nil, err
			}
		case kind == reflect.Slice || kind == reflect.Map:
			for kind = elem.Kind(); kind == reflect.Slice || kind == reflect.Map || kind == reflect.Pointer; kind = elem.Kind() {
				elem = elem.Elem()
			}
			if kind != reflect.Struct {
				continue
			}
			inside, err := addGuards(nil, elem, name, nil, within)
			if err != nil || len(inside) > 0 {
				return nil, fmt.Errorf("field %s: no item of a list can need a permission of its own", f.Name)
			}
		}
	}
	return found, nil
}

// describeGuard says in the description what a guarded field needs.
func describeGuard(schema *jsonschema.Schema, tag reflect.StructTag) {
	permission, guarded := tag.Lookup(tagGuard)
	if !guarded {
		return
	}
	words := "Needs the permission `" + permission + "`."
	if values := strings.Fields(tag.Get(tagGuardIf)); len(values) > 0 {
		words = "`" + strings.Join(values, "` and `") + "` need the permission `" + permission + "`."
	}
	if schema.Description != nil {
		words = *schema.Description + " " + words
	}
	schema.WithDescription(words)
	schema.WithExtraPropertiesItem("x-permission", permission)
}

// fieldsOf ranges over the exported fields of a struct, and of the structs embedded without a name.
func fieldsOf(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			_, named := f.Tag.Lookup("json")
			if f.Anonymous && f.Type.Kind() == reflect.Struct && !named || !f.IsExported() || f.Tag.Get("json") == "-" {
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}

// fills reports whether the input fills the guarded field.
func (g *fieldGuard) fills(in reflect.Value) bool {
	for _, index := range g.index {
		for in.Kind() == reflect.Pointer {
			if in.IsNil() {
				return false
			}
			in = in.Elem()
		}
		in = in.FieldByIndex(index)
	}
	for in.Kind() == reflect.Pointer && !in.IsNil() {
		in = in.Elem()
	}
	if len(g.values) == 0 {
		return !in.IsZero()
	}
	return slices.Contains(g.values, fmt.Sprint(in.Interface()))
}

// checkGuards reports as Forbidden a field that the caller lacks the permission for.
func (p *plan) checkGuards(caller *auth.Principal, tenant uuid.UUID, in any) error {
	if len(p.guards) == 0 {
		return nil
	}
	v := reflect.ValueOf(in).Elem()
	for i := range p.guards {
		if g := &p.guards[i]; g.fills(v) && !caller.Can(tenant, g.permission) {
			if len(g.values) == 0 {
				return fault.New(fault.Forbidden, "The field %s needs the permission %s.", g.name, g.permission)
			}
			return fault.New(fault.Forbidden, "The field %s needs the permission %s to be %s.", g.name, g.permission, strings.Join(g.values, " or "))
		}
	}
	return nil
}

func (p *plan) guardedFields() []GuardedField {
	var fields []GuardedField
	for _, g := range p.guards {
		fields = append(fields, GuardedField{g.name, g.permission, slices.Clone(g.values)})
	}
	return fields
}
