// Package tools holds what agents can do besides talking: a registry of named tools, each with a
// JSON Schema for its arguments. Tools are run by activities, on behalf of the context's tenant.
package tools

import (
	"context"
	"encoding/json"
)

// Definition describes a tool to models and to people.
type Definition struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"` // JSON Schema of the arguments
}

// Tool is one thing an agent can do. Call gets arguments that are valid by the schema and returns
// text for the model. A returned *fault.Error with code invalid, not_found or forbidden is shown to
// the model as the tool's failure; unavailable and timeout may be retried; anything else is a defect.
// A Tool is used by many goroutines at once and must stop when ctx ends.
type Tool interface {
	Definition() Definition
	Call(ctx context.Context, arguments json.RawMessage) (string, error)
}
