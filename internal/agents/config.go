package agents

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/fault"
)

// Config is what a version of an agent is: it never changes once it has been written.
type Config struct {
	Model              string    `json:"model,omitempty" validate:"max=128" default:"default" example:"openai/gpt-4.1-mini" description:"provider/model, a provider for its default model, or default."`
	Instructions       string    `json:"instructions,omitempty" validate:"max=32000" description:"The system prompt."`
	Tools              []ToolRef `json:"tools,omitempty" validate:"max=64,dive" description:"Tools that the model may call."`
	ShowReasoning      bool      `json:"show_reasoning,omitempty" description:"What the model thinks is shown in the run's events (reasoning_delta) and kept there; by default it is neither."`
	Temperature        *float64  `json:"temperature,omitempty" validate:"omitempty,min=0,max=2"`
	MaxOutputTokens    *int      `json:"max_output_tokens,omitempty" validate:"omitempty,min=1,max=1000000" description:"Longest answer of one step, in tokens."`
	MaxSteps           int       `json:"max_steps,omitempty" validate:"omitempty,min=1,max=100" default:"12" description:"Turns of think and act in one run."`
	MaxTokens          *int64    `json:"max_tokens,omitempty" validate:"omitempty,min=1,max=1000000000" description:"Input and output tokens of one run together."`
	MaxCostUSD         *string   `json:"max_cost_usd,omitempty" validate:"omitempty,max=24" description:"Decimal US dollars that one run may cost." example:"0.50"`
	TimeoutSeconds     int       `json:"timeout_seconds,omitempty" validate:"omitempty,min=5,max=86400" default:"600" description:"Time limit of a run; waiting for a human is not counted."`
	ApprovalTTLSeconds int       `json:"approval_ttl_seconds,omitempty" validate:"omitempty,min=1,max=2592000" default:"86400" description:"How long a human may take to approve a tool call."`
}

// ToolRef names a tool of an agent.
type ToolRef struct {
	Name          string `json:"name" validate:"required,max=64" example:"knowledge_search"`
	NeedsApproval bool   `json:"needs_approval,omitempty" description:"A human must approve each call."`
}

// ToolNames knows which tools there are.
type ToolNames interface {
	Has(name string) bool
}

// Models knows which models can answer here.
type Models interface {
	// CheckModel returns nil for a model that can answer, else fault.Invalid on the field.
	CheckModel(ctx context.Context, model, field string) error
}

// normalise fills what was left out and checks what the tags of the fields cannot say.
func (c Config) normalise(known ToolNames) (Config, error) {
	if c.Model == "" {
		c.Model = "default"
	}
	if c.MaxSteps == 0 {
		c.MaxSteps = 12
	}
	if c.TimeoutSeconds == 0 {
		c.TimeoutSeconds = 600
	}
	if c.ApprovalTTLSeconds == 0 {
		c.ApprovalTTLSeconds = 86400
	}
	if c.MaxCostUSD != nil {
		cost, err := decimal.NewFromString(*c.MaxCostUSD)
		if err != nil || !cost.IsPositive() || cost.GreaterThan(decimal.NewFromInt(1_000_000)) || cost.Exponent() < -10 {
			return Config{}, fault.InvalidField("config.max_cost_usd", "decimal", "must be a positive decimal number of US dollars, with at most 10 places")
		}
	}
	if len(c.Tools) == 0 {
		c.Tools = nil // as it is stored, so that the same config is not a new version
	}
	seen := map[string]bool{}
	for i, t := range c.Tools {
		field := fmt.Sprintf("config.tools[%d].name", i)
		if !known.Has(t.Name) {
			return Config{}, fault.InvalidField(field, "exists", "names no tool")
		}
		if seen[t.Name] {
			return Config{}, fault.InvalidField(field, "unique", "is listed twice")
		}
		seen[t.Name] = true
	}
	return c, nil
}

// MaxCost is the cost limit of a run, nil for none.
func (c Config) MaxCost() *decimal.Decimal {
	if c.MaxCostUSD == nil {
		return nil
	}
	d, err := decimal.NewFromString(*c.MaxCostUSD)
	if err != nil {
		return nil
	}
	return &d
}

// ToolNames gives the names of the agent's tools.
func (c Config) ToolNames() []string {
	names := make([]string, 0, len(c.Tools))
	for _, t := range c.Tools {
		names = append(names, t.Name)
	}
	return names
}

// Offers reports whether the agent has the tool.
func (c Config) Offers(tool string) bool {
	return slices.ContainsFunc(c.Tools, func(t ToolRef) bool { return t.Name == tool })
}

// Timeout is the time limit of a run.
func (c Config) Timeout() time.Duration { return time.Duration(c.TimeoutSeconds) * time.Second }

// ApprovalTTL is how long a human may take to approve a tool call.
func (c Config) ApprovalTTL() time.Duration { return time.Duration(c.ApprovalTTLSeconds) * time.Second }
