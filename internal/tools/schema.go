package tools

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/storable"
	"github.com/larirun/lari/internal/platform/strictjson"
)

const (
	maxArgumentBytes = 256 << 10
	maxComplaints    = 8 // named to the model at once
	maxComplaint     = 200
)

// schema checks the arguments of one tool.
type schema struct{ compiled *jsonschema.Schema }

// noReferences keeps a schema from reading files and the network: $ref works inside it alone.
type noReferences struct{}

func (noReferences) Load(url string) (any, error) {
	return nil, fmt.Errorf("references to other documents are not allowed: %s", url)
}

// compile reads a JSON Schema (draft 2020-12 unless it says otherwise) that must describe an object.
func compile(parameters json.RawMessage) (*schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(parameters))
	if err != nil {
		return nil, fmt.Errorf("read the JSON Schema: %w", err)
	}
	if object, ok := doc.(map[string]any); !ok || object["type"] != "object" {
		return nil, errors.New(`the JSON Schema must have "type": "object"`)
	}
	const name = "urn:lari:tool"
	c := jsonschema.NewCompiler()
	c.UseLoader(noReferences{})
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		return nil, fmt.Errorf("add the JSON Schema: %w", err)
	}
	compiled, err := c.Compile(name)
	if err != nil {
		return nil, fmt.Errorf("compile the JSON Schema: %w", err)
	}
	return &schema{compiled}, nil
}

// check gives the arguments back when they are valid, {} for none. Everything else is fault.Invalid in
// words that a model can correct itself by.
func (s *schema) check(tool string, arguments json.RawMessage) (json.RawMessage, error) {
	if len(arguments) > maxArgumentBytes {
		return nil, fault.InvalidField("arguments", "max", "must be at most %d bytes long", maxArgumentBytes)
	}
	if len(bytes.TrimSpace(arguments)) == 0 { // what some models send for a tool without parameters
		arguments = json.RawMessage("{}")
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(arguments))
	if err != nil {
		return nil, fault.InvalidField("arguments", "json", "of %s are not one JSON object: %s",
			tool, bound(storable.Text(err.Error()), maxComplaint))
	}
	if strictjson.CheckNames(arguments) != nil { // whoever approves the call may see the first of them, the tool the last
		return nil, fault.InvalidField("arguments", "unique", "of %s must have each name once in an object", tool)
	}
	if number, ok := hugeNumber(value); ok {
		return nil, fault.InvalidField("arguments", "number", "of %s hold a number out of range: %s", tool, storable.Truncate(number, 40))
	}
	// A tool would be called with something else than what the log, the API and a human who approves can be shown.
	if err := storable.CheckJSON(arguments); err != nil {
		return nil, fault.InvalidField("arguments", "storable", "of %s cannot be read: %s", tool, err)
	}
	err = s.compiled.Validate(value)
	if err == nil {
		return arguments, nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return nil, fault.Wrap(err, fault.Invalid, "the arguments of %s cannot be checked", tool)
	}
	return nil, explain(tool, invalid)
}

func explain(tool string, invalid *jsonschema.ValidationError) error {
	// A printer of its own: they are not said to be safe for use by many goroutines.
	fields := complaints(invalid, message.NewPrinter(language.English), nil)
	var lines []string
	for _, f := range fields[:min(len(fields), maxComplaints)] {
		lines = append(lines, f.Field+": "+f.Message)
	}
	if more := len(fields) - maxComplaints; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
		fields = fields[:maxComplaints]
	}
	e := fault.New(fault.Invalid, "the arguments of %s are not valid: %s", tool, strings.Join(lines, "; "))
	e.Fields = fields
	return e
}

// complaints gives the leaves of the tree of errors: what an anyOf or a $ref says about them adds nothing.
func complaints(e *jsonschema.ValidationError, p *message.Printer, into []fault.Field) []fault.Field {
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			into = complaints(cause, p, into)
		}
		return into
	}
	path := e.ErrorKind.KeywordPath()
	rule := "schema"
	if len(path) > 0 {
		rule = path[len(path)-1]
	}
	field := "arguments"
	if len(e.InstanceLocation) > 0 {
		field = strings.Join(e.InstanceLocation, ".")
	}
	return append(into, fault.Field{
		Field: bound(storable.Text(field), maxComplaint), Rule: rule,
		Message: bound(storable.Text(e.ErrorKind.LocalizedString(p)), maxComplaint),
	})
}

// hugeNumber finds a number that a float64 cannot hold. The validator computes with exact fractions:
// 1e999999 would be a million digits, and more is a nil pointer in it.
func hugeNumber(value any) (string, bool) {
	switch v := value.(type) {
	case json.Number:
		f, err := strconv.ParseFloat(v.String(), 64)
		mantissa, _, _ := strings.Cut(strings.ToLower(v.String()), "e")
		if err != nil || f == 0 && strings.ContainsAny(mantissa, "123456789") {
			return v.String(), true
		}
	case []any:
		for _, item := range v {
			if number, ok := hugeNumber(item); ok {
				return number, true
			}
		}
	case map[string]any:
		for _, item := range v {
			if number, ok := hugeNumber(item); ok {
				return number, true
			}
		}
	}
	return "", false
}
