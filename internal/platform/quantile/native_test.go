package quantile_test

import (
	"math"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/quantile"
)

type native = quantile.Native

type bucketed = []quantile.NativeBucket

func TestQuantilesOfNative(t *testing.T) {
	t.Parallel()
	inf, nan := math.Inf(1), math.NaN()
	two := native{Count: 8, Positive: bucketed{{1, 4}, {2, 4}}} // (1, 2] and (2, 4]
	both := native{Count: 8, ZeroThreshold: 0.5, ZeroCount: 4, Positive: bucketed{{1, 2}}, Negative: bucketed{{1, 2}}}
	given := native{Schema: quantile.CustomBounds, Bounds: []float64{1, 3}, Count: 8, Positive: bucketed{{0, 2}, {1, 4}, {2, 2}}}
	for name, c := range map[string]struct {
		q    float64
		h    native
		want float64
	}{
		"nothing observed":         {0.5, native{}, nan},
		"q is no number":           {nan, two, nan},
		"q below 0":                {-0.1, two, math.Inf(-1)},
		"q above 1":                {1.1, two, inf},
		"the least":                {0, two, 1},
		"the greatest":             {1, two, 4},
		"half a bucket":            {0.25, two, math.Sqrt2},
		"half the upper":           {0.75, two, 2 * math.Sqrt2},
		"finer":                    {0.5, native{Schema: 1, Count: 4, Positive: bucketed{{1, 4}}}, math.Pow(2, 0.25)},
		"coarser":                  {0.5, native{Schema: -1, Count: 4, Positive: bucketed{{1, 4}}}, 2},
		"negative":                 {0.5, native{Count: 4, Negative: bucketed{{1, 4}}}, -math.Sqrt2},
		"empty buckets":            {0.75, native{Count: 8, Positive: bucketed{{-3, 0}, {1, 4}, {2, 4}, {9, 0}}}, 2 * math.Sqrt2},
		"in the bucket of zero":    {0.5, both, 0},
		"zero, only positive":      {0.25, native{Count: 4, ZeroThreshold: 0.5, ZeroCount: 2, Positive: bucketed{{1, 2}}}, 0.25},
		"zero, only negative":      {0.75, native{Count: 4, ZeroThreshold: 0.5, ZeroCount: 2, Negative: bucketed{{1, 2}}}, -0.25},
		"zero alone":               {0.75, native{Count: 4, ZeroThreshold: 0.5, ZeroCount: 4}, 0.25},
		"reaches into a bucket":    {0, native{Count: 4, ZeroThreshold: 1.5, Positive: bucketed{{1, 4}}}, 1.5},
		"no number, within":        {0.25, native{Count: 8, Sum: nan, Positive: bucketed{{1, 4}, {2, 2}}}, math.Sqrt2},
		"no number, beyond":        {0.9, native{Count: 8, Sum: nan, Positive: bucketed{{1, 4}, {2, 2}}}, nan},
		"infinite":                 {1, native{Count: 4, Positive: bucketed{{1025, 4}}}, inf},
		"given, in the first":      {0.125, given, 0.5},
		"given, within":            {0.5, given, 2},
		"given, above the last":    {0.9, given, 3},
		"given, first is negative": {0.1, native{Schema: quantile.CustomBounds, Bounds: []float64{-1, 3}, Count: 2, Positive: bucketed{{0, 1}, {1, 1}}}, -1},
	} {
		got := quantile.OfNative(c.q, c.h)
		if math.Abs(got-c.want) > 1e-12 && !(math.IsNaN(got) && math.IsNaN(c.want)) || math.IsInf(c.want, 0) != math.IsInf(got, 0) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// What was observed before a reset counts, a finer resolution than before is one, and so are counts that fell in one
// bucket alone.
func TestIncreaseOfNative(t *testing.T) {
	t.Parallel()
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	for name, c := range map[string]struct {
		samples []native
		count   float64
		none    bool
	}{
		"none":          {nil, 0, true},
		"one":           {[]native{{Count: 4, Positive: bucketed{{1, 4}}}}, 0, true},
		"rises":         {[]native{{Count: 4, Positive: bucketed{{1, 4}}}, {Count: 6, Positive: bucketed{{1, 4}, {2, 2}}}}, 2, false},
		"stands":        {[]native{{Count: 4, Positive: bucketed{{1, 4}}}, {Count: 4, Positive: bucketed{{1, 4}}}}, 0, false},
		"coarser":       {[]native{{Schema: 1, Count: 4, Positive: bucketed{{1, 2}, {2, 2}}}, {Count: 6, Positive: bucketed{{1, 6}}}}, 2, false},
		"finer":         {[]native{{Count: 4, Positive: bucketed{{1, 4}}}, {Schema: 1, Count: 6, Positive: bucketed{{1, 6}}}}, 6, false},
		"begins anew":   {[]native{{Count: 4, Positive: bucketed{{1, 4}}}, {Count: 5, Positive: bucketed{{1, 5}}}, {Count: 3, Positive: bucketed{{1, 3}}}}, 4, false},
		"one fell":      {[]native{{Count: 4, Positive: bucketed{{1, 4}}}, {Count: 5, Positive: bucketed{{1, 3}, {2, 2}}}}, 5, false},
		"wider zero":    {[]native{{Count: 4, Positive: bucketed{{1, 2}, {2, 2}}}, {Count: 6, ZeroThreshold: 2, ZeroCount: 2, Positive: bucketed{{2, 4}}}}, 2, false},
		"other bounds":  {[]native{{Schema: quantile.CustomBounds, Bounds: []float64{1}}, {Schema: quantile.CustomBounds, Bounds: []float64{2}, Count: 1, Positive: bucketed{{0, 1}}}}, 1, false},
		"another kind":  {[]native{{Count: 1}, {Count: 2}, {Schema: quantile.CustomBounds, Count: 3}}, 0, true},
		"kinds between": {[]native{{Count: 1}, {Schema: quantile.CustomBounds, Count: 2}, {Count: 3}}, 0, true},
	} {
		var samples []quantile.NativeSample
		for i, h := range c.samples {
			samples = append(samples, quantile.NativeSample{At: at(int64(i)), Histogram: h})
		}
		got, ok := quantile.IncreaseNative(samples, at(0), at(int64(max(len(samples)-1, 0))))
		if ok == c.none || got.Count != c.count {
			t.Errorf("%s: %+v, %t, want %v", name, got, ok, c.count)
		}
	}
	if _, ok := quantile.Sum(native{Count: 1}, native{Schema: quantile.CustomBounds}); ok {
		t.Error("given bounds were added to others")
	}
	if _, ok := quantile.Sum(); ok {
		t.Error("nothing has a sum")
	}
}
