package client

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A client sends what it must and leaves the rest to the API: each optional property of the description is a field that
// encoding/json leaves out.
func TestGeneratedTypes_LeaveOutWhatIsOptional(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../api/testdata/openapi.golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var description struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any
				Required   []string
			}
		}
	}
	if err := json.Unmarshal(text, &description); err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "lari.gen.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		schema, known := description.Components.Schemas[spec.Name.Name]
		fields, isStruct := spec.Type.(*ast.StructType)
		if !known || !isStruct {
			return false
		}
		for _, f := range fields.Fields.List {
			if f.Tag == nil {
				continue
			}
			name, options, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
			if _, described := schema.Properties[name]; !described {
				continue
			}
			checked++
			if required := slices.Contains(schema.Required, name); required == strings.Contains(options, "omitempty") {
				t.Errorf("%s.%s: required %t, tag %s", spec.Name.Name, name, required, f.Tag.Value)
			}
		}
		return false
	})
	if checked < 200 {
		t.Errorf("only %d fields checked", checked)
	}
}
