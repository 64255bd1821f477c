package llm

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// listPrices are the providers' public list prices in cents per million tokens (input, output), as
// published in autumn 2026, without discounts for batches. Models whose price depends on how they are
// used are left out on purpose: they count as unpriced.
var listPrices = map[string][2]int64{
	"gpt-5.5-pro": {3000, 18000}, "gpt-5.5": {500, 3000},
	"gpt-5.4-pro": {3000, 18000}, "gpt-5.4": {250, 1500}, "gpt-5.4-mini": {75, 450}, "gpt-5.4-nano": {20, 125},
	"gpt-5.2-pro": {2100, 16800}, "gpt-5.2": {175, 1400}, "gpt-5.1": {125, 1000},
	"gpt-5-pro": {1500, 12000}, "gpt-5": {125, 1000}, "gpt-5-mini": {25, 200}, "gpt-5-nano": {5, 40},
	"gpt-4.1": {200, 800}, "gpt-4.1-mini": {40, 160}, "gpt-4.1-nano": {10, 40},
	"gpt-4o": {250, 1000}, "gpt-4o-mini": {15, 60}, "gpt-4-turbo": {1000, 3000}, "gpt-4": {3000, 6000},
	"gpt-3.5-turbo": {50, 150},
	"o4-mini":       {110, 440}, "o3-pro": {2000, 8000}, "o3": {200, 800}, "o3-mini": {110, 440},
	"o1-pro": {15000, 60000}, "o1": {1500, 6000}, "o1-mini": {110, 440},

	"claude-fable-5": {1000, 5000},
	"claude-opus-5":  {500, 2500}, "claude-opus-5-5": {400, 2000},
	"claude-opus-4": {1500, 7500}, "claude-opus-4-5": {500, 2500}, "claude-opus-4-6": {500, 2500},
	"claude-opus-4-7": {500, 2500}, "claude-opus-4-8": {500, 2500},
	"claude-sonnet-5": {200, 1000}, "claude-sonnet-4": {300, 1500},
	"claude-haiku-4-5":  {100, 500},
	"claude-3-7-sonnet": {300, 1500}, "claude-3-5-sonnet": {300, 1500}, "claude-3-5-haiku": {80, 400},
	"claude-3-opus": {1500, 7500}, "claude-3-sonnet": {300, 1500}, "claude-3-haiku": {25, 125},

	"extractive": {0, 0}, "builtin": {0, 0},
}

// DefaultPrices gives a new table of well-known models. Prices change: an operator overrides them
// with ParsePrices.
func DefaultPrices() PriceTable {
	table := make(PriceTable, len(listPrices))
	for model, cents := range listPrices {
		cached, written := cacheShares(model)
		table[model] = Price{
			Input: decimal.New(cents[0], -2), Output: decimal.New(cents[1], -2),
			CachedInput: decimal.New(cents[0]*cached, -4), CacheWrite: decimal.New(cents[0]*written, -4),
		}
	}
	return table
}

// cacheShares returns what input that comes from the provider's cache and input that goes to it cost, in percent of
// other input, by the providers' price lists: OpenAI's discount depends on the family and writing is free, Anthropic's
// are the same for all its models (for five minutes).
func cacheShares(model string) (cached, written int64) {
	family := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return model == name || strings.HasPrefix(model, name+"-") })
	}
	switch {
	case family("claude"):
		return 10, 125
	case strings.HasSuffix(model, "-pro"):
		return 100, 100
	case strings.HasPrefix(model, "gpt-5"):
		return 10, 100
	case family("gpt-4.1", "o4-mini") || model == "o3":
		return 25, 100
	case family("gpt-4o", "o1", "o3-mini"):
		return 50, 100
	}
	return 100, 100
}
