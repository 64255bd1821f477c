package llm_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/larirun/lari/internal/platform/llm"
)

func TestCost(t *testing.T) {
	t.Parallel()
	table, err := llm.ParsePrices([]byte(`{"acme": {"input": "0.1", "output": 0.3}, "acme-large": {"input": 2, "output": 4}, "openai/gpt-4o": {"input": "1", "output": "1"}}`))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		in, out int64
		cost    string
		priced  bool
	}{
		"gpt-4.1-mini":               {1_000_000, 1_000_000, "2", true},
		"gpt-4.1-mini-2025-04-14":    {1000, 500, "0.0012", true},
		"openai/gpt-4.1":             {1, 1, "0.00001", true},
		"gpt-4.15":                   {1000, 500, "0", false},
		"claude-sonnet-4-5-20250929": {1_000_000, 100_000, "4.5", true},
		"anthropic/claude-opus-4-8":  {1_000_000, 0, "5", true},
		"openrouter/openai/o3":       {1_000_000, 0, "2", true},
		"builtin/extractive":         {1_000_000, 1_000_000, "0", true},
		"extractive":                 {1_000_000, 1_000_000, "0", true},
		"openai/some-local-model":    {1_000_000, 1_000_000, "0", false},
		"":                           {1_000_000, 1_000_000, "0", false},
		"acme-tiny":                  {1_000_000, 1_000_000, "0.4", true},
		"acme-large-v2":              {1_000_000, 1_000_000, "6", true},
		"openai/gpt-4o":              {1_000_000, 0, "1", true}, // an override for one provider only
		"gpt-4o":                     {1_000_000, 0, "2.5", true},
		"gpt-4.1-nano":               {1, 0, "0.0000001", true}, // no float loses it
		"claude-haiku-4-5":           {9_007_199_254_740_993, 0, "9007199254.740993", true},
	}
	for model, test := range tests {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			cost, priced := table.Cost(model, llm.Usage{InputTokens: test.in, OutputTokens: test.out})
			if cost.String() != test.cost || priced != test.priced {
				t.Errorf("cost %s, priced %t; want %s, %t", cost, priced, test.cost, test.priced)
			}
		})
	}
}

// Input that comes from a provider's cache, and input that goes to it, has a price of its own.
func TestCost_KnowsTheProvidersCache(t *testing.T) {
	t.Parallel()
	table, err := llm.ParsePrices([]byte(`{"acme": {"input": "1", "output": "2"}, "own": {"input": "1", "output": "2", "cached_input": "0.3", "cache_write": "1.5"}}`))
	if err != nil {
		t.Fatal(err)
	}
	const m = 1_000_000
	for _, test := range []struct {
		model string
		used  llm.Usage
		cost  string
	}{
		{"gpt-4.1", llm.Usage{InputTokens: 2 * m, CachedTokens: m, OutputTokens: m}, "10.5"},
		{"gpt-4o-mini", llm.Usage{InputTokens: m, CachedTokens: m}, "0.075"},
		{"gpt-5-nano", llm.Usage{InputTokens: m, CachedTokens: m}, "0.005"},
		{"gpt-5-pro", llm.Usage{InputTokens: m, CachedTokens: m}, "15"},
		{"o3", llm.Usage{InputTokens: m, CachedTokens: m}, "0.5"},
		{"o3-pro", llm.Usage{InputTokens: m, CachedTokens: m}, "20"},
		{"claude-sonnet-4-5-20250929", llm.Usage{InputTokens: 3 * m, CachedTokens: m, CacheWriteTokens: m}, "7.05"},
		{"acme", llm.Usage{InputTokens: 3 * m, CachedTokens: m, CacheWriteTokens: m, OutputTokens: m}, "5"},
		{"own", llm.Usage{InputTokens: 3 * m, CachedTokens: m, CacheWriteTokens: m, OutputTokens: m}, "4.8"},
	} {
		if cost, _ := table.Cost(test.model, test.used); cost.String() != test.cost {
			t.Errorf("%s, %+v costs %s, want %s", test.model, test.used, cost, test.cost)
		}
	}
}

func TestParsePrices(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"": true, "  \n": true, "{}": true, `{"m":{"input":0,"output":0}}`: true,
		"[]": false, `{"m":{"input":1}}`: false, `{"m":{"input":-1,"output":1}}`: false, `{"":{"input":1,"output":1}}`: false,
		`{"m":{"input":1,"output":1,"cached":1}}`: false, `{"m":{"input":1,"output":1,"cached_input":-1}}`: false,
		`{"m":{"input":1,"output":1,"cached_input":0.5}}`: true, `{"m":{"input":"x","output":1}}`: false, `{} {}`: false, `{`: false,
	} {
		table, err := llm.ParsePrices([]byte(text))
		if (err == nil) != ok {
			t.Errorf("%q: error %v", text, err)
		}
		if _, priced := table.Cost("gpt-4.1", llm.Usage{}); ok && !priced {
			t.Errorf("%q: the default prices are gone", text)
		}
	}
}

func TestPartialUsage(t *testing.T) {
	t.Parallel()
	used := llm.Usage{InputTokens: 3, OutputTokens: 4, Estimated: true}
	for name, test := range map[string]struct {
		err  error
		want llm.Usage
		ok   bool
	}{
		"failed":          {fmt.Errorf("step 2: %w", &llm.Error{Usage: used}), used, true},
		"interrupted":     {fmt.Errorf("step 2: %w", &llm.Interrupted{Usage: used, Cause: context.Canceled}), used, true},
		"failed at once":  {&llm.Error{}, llm.Usage{}, false},
		"something else":  {errors.New("x"), llm.Usage{}, false},
		"no error at all": {nil, llm.Usage{}, false},
	} {
		if got, ok := llm.PartialUsage(test.err); got != test.want || ok != test.ok {
			t.Errorf("%s: %+v, %t; want %+v, %t", name, got, ok, test.want, test.ok)
		}
	}
	if err := error(&llm.Interrupted{Cause: context.DeadlineExceeded}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("the context's error is hidden")
	}
}
