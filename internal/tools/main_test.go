package tools

import (
	"context"
	"encoding/json"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a tool whose behaviour a test writes.
type scripted struct {
	name   string
	schema string
	call   func(ctx context.Context, arguments json.RawMessage) (string, error)
}

func (s scripted) Definition() Definition {
	schema := s.schema
	if schema == "" {
		schema = `{"type":"object"}`
	}
	return Definition{Name: s.name, Description: "a test's tool", Parameters: json.RawMessage(schema)}
}

func (s scripted) Call(ctx context.Context, arguments json.RawMessage) (string, error) {
	return s.call(ctx, arguments)
}

// registered gives a tool as agents get it: through a registry.
func registered(t *testing.T, limits Limits, tool Tool) Tool {
	t.Helper()
	r, err := NewWithLimits(limits, tool)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Get(tool.Definition().Name)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// call runs a tool with arguments that are made of pairs of name and value.
func call(t *testing.T, tool Tool, arguments any) (string, error) {
	t.Helper()
	raw, err := json.Marshal(arguments)
	if err != nil {
		t.Fatal(err)
	}
	return tool.Call(t.Context(), raw)
}
