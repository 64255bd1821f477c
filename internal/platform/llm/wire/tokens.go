package wire

import (
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/larirun/lari/internal/platform/llm"
)

// maxTokens is more than any model reads or writes in one turn. A larger count is an error of the
// provider: believed, it would use up a tenant's quota at once.
const maxTokens = 10_000_000

// Tokens reads a count of tokens; zero: it is not there, or cannot be true.
func Tokens(v gjson.Result) int64 {
	var n float64
	switch v.Type {
	case gjson.Number:
		n = v.Num
	case gjson.String:
		n, _ = strconv.ParseFloat(v.Str, 64)
	case gjson.Null, gjson.False, gjson.True, gjson.JSON:
	}
	if !(n >= 1 && n <= maxTokens) { // NaN too
		return 0
	}
	return int64(n)
}

// counter holds what the provider reported. Servers report once, or a running total with every piece,
// or zeros at last: the largest count of each side is the total.
type counter struct{ input, output, cached, cacheWrite int64 }

// addCache takes a report of what of the input came from the provider's cache and went to it.
func (c *counter) addCache(read, written int64) {
	c.cached = max(c.cached, min(read, maxTokens))
	c.cacheWrite = max(c.cacheWrite, min(written, maxTokens))
}

// add takes a report; it reports whether it said anything new.
func (c *counter) add(input, output int64) bool {
	before := *c
	c.input = max(c.input, min(input, maxTokens))
	c.output = max(c.output, min(output, maxTokens))
	return *c != before
}

// usage fills what was not reported with an estimate, of the request and of the bytes that came.
func (c *counter) usage(req llm.Request, bytes int) llm.Usage {
	u := llm.Usage{InputTokens: c.input, OutputTokens: c.output}
	if u.InputTokens == 0 {
		u.InputTokens, u.Estimated = llm.EstimateInput(req), true
	} else {
		u.CachedTokens = min(c.cached, u.InputTokens)
		u.CacheWriteTokens = min(c.cacheWrite, u.InputTokens-u.CachedTokens)
	}
	if u.OutputTokens == 0 && bytes > 0 {
		u.OutputTokens, u.Estimated = int64(bytes+3)/4, true
	}
	return u
}
