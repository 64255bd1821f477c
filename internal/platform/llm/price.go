package llm

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/strictjson"
)

// Price is what a model costs, in US dollars per million tokens.
type Price struct {
	Input  decimal.Decimal `json:"input"`
	Output decimal.Decimal `json:"output"`
	// CachedInput is for input that the provider reads from its cache, CacheWrite for input that it writes to it.
	CachedInput decimal.Decimal `json:"cached_input"`
	CacheWrite  decimal.Decimal `json:"cache_write"`
}

// PriceTable holds prices by model name. A key stands for the model itself and for its dated and
// suffixed variants: "gpt-4.1" covers "gpt-4.1-2025-04-14", never "gpt-4.15"; the longest key wins.
type PriceTable map[string]Price

// Cost gives the price of a turn in US dollars. The model may be written with its provider
// ("openai/gpt-4.1"). false marks a model without a price: its cost is zero because it is unknown, not
// because it is free, and a budget in dollars cannot hold it back. The built-in model is free: zero and true.
func (t PriceTable) Cost(model string, u Usage) (decimal.Decimal, bool) {
	price, ok := t.find(model)
	if !ok {
		return decimal.Zero, false
	}
	million := decimal.New(1, 6)
	plain := u.InputTokens - u.CachedTokens - u.CacheWriteTokens
	return decimal.NewFromInt(plain).Mul(price.Input).
		Add(decimal.NewFromInt(u.CachedTokens).Mul(price.CachedInput)).
		Add(decimal.NewFromInt(u.CacheWriteTokens).Mul(price.CacheWrite)).
		Add(decimal.NewFromInt(u.OutputTokens).Mul(price.Output)).Div(million), true
}

// find looks for the whole name first, so that an override may name "openai/x", then drops what
// stands before each slash: gateways name models "vendor/model".
func (t PriceTable) find(model string) (Price, bool) {
	for name := model; ; {
		if price, ok := t.longest(name); ok {
			return price, true
		}
		_, rest, found := strings.Cut(name, "/")
		if !found {
			return Price{}, false
		}
		name = rest
	}
}

func (t PriceTable) longest(name string) (Price, bool) {
	for end := len(name); end > 0; end-- {
		if end < len(name) && !strings.ContainsRune("-@:/", rune(name[end])) {
			continue
		}
		if price, ok := t[name[:end]]; ok {
			return price, true
		}
	}
	return Price{}, false
}

// ParsePrices reads prices that are laid over DefaultPrices: a JSON object from model name to
// {"input": "0.40", "output": "1.60", "cached_input": "0.10", "cache_write": "0.50"}, dollars per million tokens, as
// strings or numbers; the last two are those of input when they are absent. Empty text gives the defaults. It fails on unknown fields, on a name that occurs
// twice, on a missing or negative price and on trailing text.
func ParsePrices(text []byte) (PriceTable, error) {
	table := DefaultPrices()
	if len(bytes.TrimSpace(text)) == 0 {
		return table, nil
	}
	var overrides map[string]struct {
		Input       *decimal.Decimal `json:"input"`
		Output      *decimal.Decimal `json:"output"`
		CachedInput *decimal.Decimal `json:"cached_input"`
		CacheWrite  *decimal.Decimal `json:"cache_write"`
	}
	if err := strictjson.UnmarshalKnown(text, &overrides); err != nil {
		return nil, fmt.Errorf("model prices: %w", err)
	}
	own := make(PriceTable, len(overrides))
	for model, p := range overrides {
		if model == "" || p.Input == nil || p.Output == nil || p.Input.IsNegative() || p.Output.IsNegative() {
			return nil, fmt.Errorf("model prices: %q needs an input and an output price of at least 0", model)
		}
		cached, written := cmp.Or(p.CachedInput, p.Input), cmp.Or(p.CacheWrite, p.Input)
		if cached.IsNegative() || written.IsNegative() {
			return nil, fmt.Errorf("model prices: %q has a price below 0", model)
		}
		own[model] = Price{Input: *p.Input, Output: *p.Output, CachedInput: *cached, CacheWrite: *written}
	}
	maps.Copy(table, own)
	return table, nil
}
