package llm_test

import (
	"context"
	"iter"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/anthropic"
	"github.com/larirun/lari/internal/platform/llm/builtin"
	"github.com/larirun/lari/internal/platform/llm/openai"
)

// third is a provider that the house does not know.
type third struct{}

func (third) Name() string { return "third" }

func (third) Stream(context.Context, llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		yield(llm.Chunk{Done: &llm.Done{Reason: llm.FinishStop}}, nil)
	}
}

func TestRouter(t *testing.T) {
	t.Parallel()
	var (
		own    = llm.Configured{Provider: builtin.New(builtin.Config{}), DefaultModel: builtin.DefaultModel}
		claude = llm.Configured{Provider: anthropic.New(anthropic.Config{APIKey: "k"}), DefaultModel: "claude-x"}
		gpt    = llm.Configured{Provider: openai.New(openai.Config{APIKey: "k"}), DefaultModel: "gpt-x"}
		other  = llm.Configured{Provider: third{}, DefaultModel: "t-1"}
	)
	tests := map[string]struct {
		defaultModel string
		providers    []llm.Configured
		model        string
		want         string // "provider/model", or part of the error
		fails        bool
	}{
		"default prefers openai, whatever the order": {"", []llm.Configured{own, claude, gpt}, "default", "openai/gpt-x", false},
		"then anthropic":                            {"", []llm.Configured{own, claude}, "default", "anthropic/claude-x", false},
		"then the built-in":                         {"", []llm.Configured{other, own}, "", "builtin/extractive", false},
		"then any other":                            {"", []llm.Configured{other}, "default", "third/t-1", false},
		"the default is set":                        {"anthropic/claude-y", []llm.Configured{gpt, claude}, "default", "anthropic/claude-y", false},
		"the default is set to default":             {"default", []llm.Configured{gpt, claude}, "default", "openai/gpt-x", false},
		"the default has no key":                    {"openai/gpt-y", []llm.Configured{own}, "default", "OPENAI_API_KEY", true},
		"provider and model":                        {"", []llm.Configured{gpt, own}, "builtin/extractive", "builtin/extractive", false},
		"a model with slashes":                      {"", []llm.Configured{gpt}, "openai/meta-llama/Llama-3.3-70B", "openai/meta-llama/Llama-3.3-70B", false},
		"provider alone":                            {"", []llm.Configured{gpt, own}, "builtin", "builtin/extractive", false},
		"provider with an empty model":              {"", []llm.Configured{gpt, own}, "openai/", "openai/gpt-x", false},
		"a known provider without a key":            {"", []llm.Configured{own}, "anthropic/claude-x", "ANTHROPIC_API_KEY", true},
		"an unknown provider":                       {"", []llm.Configured{gpt, own}, "acme/m", "openai, builtin", true},
		"a model without a provider is not guessed": {"", []llm.Configured{gpt}, "gpt-4.1-mini", "provider/model", true},
		"nothing configured":                        {"", nil, "default", "no model provider", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider, model, err := llm.NewRouter(test.defaultModel, test.providers...).Resolve(test.model)
			if test.fails {
				if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.want) || provider != nil {
					t.Errorf("got %v, %q, error %v; want a validation error with %q", provider, model, err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := provider.Name() + "/" + model; got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
