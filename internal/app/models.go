package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/anthropic"
	"github.com/larirun/lari/internal/platform/llm/builtin"
	"github.com/larirun/lari/internal/platform/llm/openai"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/tools"
)

// models makes a provider for every key that is there, and the built-in one. A default model without a provider is an
// error: no agent that names none could be made.
func models(cfg config.Models) (*llm.Router, error) {
	var ready []llm.Configured
	if !cfg.OpenAIKey.Empty() || cfg.OpenAIBaseURL != "" {
		p := openai.New(openai.Config{APIKey: cfg.OpenAIKey.Reveal(), BaseURL: cfg.OpenAIBaseURL})
		ready = append(ready, llm.Configured{Provider: p, DefaultModel: cfg.OpenAIModel})
	}
	if !cfg.AnthropicKey.Empty() {
		p := anthropic.New(anthropic.Config{APIKey: cfg.AnthropicKey.Reveal(), BaseURL: cfg.AnthropicBaseURL})
		ready = append(ready, llm.Configured{Provider: p, DefaultModel: cfg.AnthropicModel})
	}
	own := builtin.New(builtin.Config{TokensPerSecond: cfg.BuiltinTokensPerSecond})
	ready = append(ready, llm.Configured{Provider: own, DefaultModel: "extractive"})
	router := llm.NewRouter(cfg.DefaultModel, ready...)
	if _, _, err := router.Resolve(llm.DefaultModel); err != nil {
		return nil, fmt.Errorf("LARI_DEFAULT_MODEL is %s: %w", cfg.DefaultModel, err)
	}
	return router, nil
}

// modelCheck reports whether a model can answer here.
type modelCheck struct{ router *llm.Router }

// CheckModel returns why the model cannot answer, as fault.Invalid on the field. Only the platform is told which of its
// settings is missing.
func (c modelCheck) CheckModel(ctx context.Context, model, field string) error {
	_, _, err := c.router.Resolve(model)
	var refusal *fault.Error
	if !errors.As(err, &refusal) || len(refusal.Fields) == 0 {
		return err
	}
	rule, message := refusal.Fields[0].Rule, refusal.Fields[0].Message
	var missing *llm.MissingSetting
	if errors.As(err, &missing) && scope.From(ctx).Platform {
		message = "cannot be used: " + missing.Error()
	}
	return fault.InvalidField(field, rule, "%s", message)
}

// toolNames tells agents which tools there are.
type toolNames struct{ registry *tools.Registry }

func (t toolNames) Has(name string) bool {
	_, err := t.registry.Get(name)
	return err == nil
}
