package app

import (
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/anthropic"
	"github.com/larirun/lari/internal/platform/llm/builtin"
	"github.com/larirun/lari/internal/platform/llm/openai"
	"github.com/larirun/lari/internal/tools"
)

// models makes a provider for every key that is there, and the built-in one.
func models(cfg config.Models) *llm.Router {
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
	return llm.NewRouter(cfg.DefaultModel, ready...)
}

// toolNames tells agents which tools there are.
type toolNames struct{ registry *tools.Registry }

func (t toolNames) Has(name string) bool {
	_, err := t.registry.Get(name)
	return err == nil
}
