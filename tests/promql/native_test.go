package promql_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/larirun/lari/internal/platform/quantile"
)

// drawNative draws a histogram of any kind: with and without each side and the bucket of zero, with observations that
// were infinite, with buckets that counted nothing, with bounds that are given.
func drawNative(rng *rand.Rand) quantile.Native {
	if rng.IntN(5) == 0 {
		return drawCustom(rng, bounds(rng))
	}
	h := quantile.Native{Schema: rng.Int32N(13) - 4, ZeroThreshold: drawThreshold(rng)}
	whole := rng.IntN(3) > 0
	sides := rng.IntN(4) // none, positive, negative, both
	if sides&1 > 0 {
		h.Positive = drawSide(rng, h.Schema, whole)
	}
	if sides&2 > 0 {
		h.Negative = drawSide(rng, h.Schema, whole)
	}
	if rng.IntN(2) == 0 {
		h.ZeroCount = drawCount(rng, whole)
	}
	count(&h)
	return h
}

func drawThreshold(rng *rand.Rand) float64 {
	return []float64{0, 0x1p-128, 1e-3, 0.3, 1, 4}[rng.IntN(6)]
}

// kin draws the resolution and the bucket of zero of histograms that are added up. Where both differ, the bucket of
// zero ends at a bound of every resolution: else the engine counts what it swallowed once more when it makes the
// buckets wider (v0.313.2).
func kin(rng *rand.Rand) func() (schema int32, threshold float64) {
	schema := rng.Int32N(13) - 4
	if rng.IntN(2) == 0 {
		return func() (int32, float64) { return schema, drawThreshold(rng) }
	}
	return func() (int32, float64) {
		return rng.Int32N(13) - 4, []float64{0, 0x1p-128, 1, 65536}[rng.IntN(4)]
	}
}

func drawCustom(rng *rand.Rand, upper []float64) quantile.Native {
	h := quantile.Native{Schema: quantile.CustomBounds, Bounds: upper}
	for i := range len(h.Bounds) + 1 {
		if rng.IntN(3) > 0 {
			h.Positive = append(h.Positive, quantile.NativeBucket{Index: int32(i), Count: drawCount(rng, true)})
		}
	}
	count(&h)
	return h
}

// drawSide draws buckets around 1, or anywhere up to that of infinity.
func drawSide(rng *rand.Rand, schema int32, whole bool) []quantile.NativeBucket {
	var infinite int32
	if schema < 0 {
		infinite = 1024>>-schema + 1
	} else {
		infinite = 1024<<schema + 1
	}
	spread := int32(40)
	if rng.IntN(5) == 0 {
		spread = infinite
	}
	indices := map[int32]bool{}
	for range rng.IntN(30) {
		indices[min(rng.Int32N(2*spread)-spread, infinite)] = true
	}
	if rng.IntN(10) == 0 {
		indices[infinite], indices[infinite-1] = true, rng.IntN(2) == 0
	}
	var side []quantile.NativeBucket
	for _, index := range slices.Sorted(maps.Keys(indices)) {
		side = append(side, quantile.NativeBucket{Index: index, Count: drawCount(rng, whole)})
	}
	return side
}

func drawCount(rng *rand.Rand, whole bool) float64 {
	n := rng.ExpFloat64() * math.Exp2(float64(rng.IntN(20)))
	if rng.IntN(8) == 0 {
		return 0
	}
	if whole {
		return math.Floor(n)
	}
	return n
}

// count makes the count of the buckets.
func count(h *quantile.Native) {
	outside := func(b quantile.NativeBucket) bool { // what is in the bucket of zero is in no other
		return h.Schema != quantile.CustomBounds && math.Exp2(float64(b.Index)*math.Exp2(-float64(h.Schema))) <= h.ZeroThreshold
	}
	h.Positive, h.Negative = slices.DeleteFunc(h.Positive, outside), slices.DeleteFunc(h.Negative, outside)
	h.Count = h.ZeroCount
	for _, b := range slices.Concat(h.Positive, h.Negative) {
		h.Count += b.Count
	}
}

// native gives the histogram in Prometheus' form.
func native(h quantile.Native) *histogram.FloatHistogram {
	out := &histogram.FloatHistogram{
		Schema: h.Schema, ZeroThreshold: h.ZeroThreshold, ZeroCount: h.ZeroCount, Count: h.Count, Sum: h.Sum, CustomValues: h.Bounds,
	}
	out.PositiveSpans, out.PositiveBuckets = spans(h.Positive)
	out.NegativeSpans, out.NegativeBuckets = spans(h.Negative)
	return out
}

func spans(side []quantile.NativeBucket) (out []histogram.Span, counts []float64) {
	next := int32(0)
	for i, b := range side {
		if i == 0 || b.Index != next {
			out = append(out, histogram.Span{Offset: b.Index - next})
		}
		out[len(out)-1].Length++
		next = b.Index + 1
		counts = append(counts, b.Count)
	}
	return out, counts
}

// judge compares one quantile and counts those that are numbers.
func judge(t *testing.T, n int, q, got float64, found bool, want float64, known bool, numbers *int, from any) {
	t.Helper()
	if found != known || known && !same(got, want) {
		t.Fatalf("histogram %d, q = %v: %v (%t), Prometheus says %v (%t)\n%+v", n, q, got, found, want, known, from)
	}
	if known && !math.IsNaN(want) && !math.IsInf(want, 0) {
		*numbers++
	}
}

func enough(t *testing.T, numbers int) {
	t.Helper()
	if t.Logf("%d of %d quantiles are numbers", numbers, histograms); numbers < histograms/2 {
		t.Error("most comparisons are of nothing: the histograms are drawn badly")
	}
}

// TestNativeQuantiles compares histogram_quantile(q, x).
func TestNativeQuantiles(t *testing.T) {
	engine, rng, numbers := newEngine(), drawn(t), 0
	for n := range histograms {
		h, q := drawNative(rng), drawQuantile(rng)
		s := stored{series([]chunks.Sample{point{at: 1000, histogram: native(h)}}, "__name__", "x")}
		want, known := ask(t, engine, s, "histogram_quantile("+number(q)+", x)", time.UnixMilli(1000))
		judge(t, n, q, quantile.OfNative(q, h), true, want, known, &numbers, h)
	}
	enough(t, numbers)
}

// TestNativeQuantilesOfNoNumbers compares those of histograms that observed what is no number too, in one bucket: of
// several the engine finds the right one, and then takes the last one for it (v0.313.2).
func TestNativeQuantilesOfNoNumbers(t *testing.T) {
	engine, rng, numbers := newEngine(), drawn(t), 0
	for n := range histograms {
		one := quantile.NativeBucket{Index: rng.Int32N(200) - 100, Count: 1 + drawCount(rng, true)}
		h := quantile.Native{Schema: rng.Int32N(13) - 4, Positive: []quantile.NativeBucket{one}, Sum: math.NaN()}
		h.Count = one.Count + math.Floor(one.Count*rng.Float64()/2)
		q := drawQuantile(rng)
		s := stored{series([]chunks.Sample{point{at: 1000, histogram: native(h)}}, "__name__", "x")}
		want, known := ask(t, engine, s, "histogram_quantile("+number(q)+", x)", time.UnixMilli(1000))
		judge(t, n, q, quantile.OfNative(q, h), true, want, known, &numbers, h)
	}
	enough(t, numbers)
}

func number(q float64) string { return strconv.FormatFloat(q, 'g', -1, 64) }

// TestNativeSums compares histogram_quantile(q, sum(x)) of series that differ in resolution and in their bucket of
// zero.
func TestNativeSums(t *testing.T) {
	engine, rng, numbers := newEngine(), drawn(t), 0
	for n := range histograms {
		var all []quantile.Native
		var s stored
		upper := bounds(rng)
		custom, form := rng.IntN(5) == 0, kin(rng)
		for i := range 1 + rng.IntN(4) {
			h := drawWhole(rng, form)
			if custom {
				h = drawCustom(rng, upper)
			}
			all = append(all, h)
			s = append(s, series([]chunks.Sample{point{at: 1000, histogram: native(h)}}, "__name__", "x", "instance", strconv.Itoa(i)))
		}
		q := drawQuantile(rng)
		want, known := ask(t, engine, s, "histogram_quantile("+number(q)+", sum(x))", time.UnixMilli(1000))
		sum, ok := quantile.Sum(all...)
		judge(t, n, q, quantile.OfNative(q, sum), ok, want, known, &numbers, all)
	}
	enough(t, numbers)
}

// drawWhole draws one whose counts add up without rounding.
func drawWhole(rng *rand.Rand, form func() (int32, float64)) quantile.Native {
	var h quantile.Native
	h.Schema, h.ZeroThreshold = form()
	if rng.IntN(4) > 0 {
		h.Positive = drawSide(rng, h.Schema, true)
	}
	if rng.IntN(4) == 0 {
		h.Negative = drawSide(rng, h.Schema, true)
	}
	if rng.IntN(2) == 0 {
		h.ZeroCount = drawCount(rng, true)
	}
	count(&h)
	return h
}

// TestNativeIncreases compares histogram_quantile(q, increase(x[5m])) of series that rise, begin anew and become
// coarser.
func TestNativeIncreases(t *testing.T) {
	engine, rng, numbers := newEngine(), drawn(t), 0
	const window = 300_000
	for n := range histograms {
		evaluated := int64(1_700_000_000_000) + rng.Int64N(1000)
		from, to := time.UnixMilli(evaluated-window), time.UnixMilli(evaluated)
		samples := drawNativeHistory(rng, evaluated-window+1, evaluated)
		var points []chunks.Sample
		for _, s := range samples {
			points = append(points, point{at: s.At.UnixMilli(), histogram: native(s.Histogram)})
		}
		q := drawQuantile(rng)
		want, known := ask(t, engine, stored{series(points, "__name__", "x")}, "histogram_quantile("+number(q)+", increase(x[5m]))", to)
		rise, ok := quantile.IncreaseNative(samples, from, to)
		judge(t, n, q, quantile.OfNative(q, rise), ok, want, known, &numbers, samples)
	}
	enough(t, numbers)
}

// drawNativeHistory draws no empty buckets: of those that are missing at the end of the next sample the engine looks at
// the first alone, and overlooks a reset when that one was empty (v0.313.2).
func drawNativeHistory(rng *rand.Rand, from, to int64) (out []quantile.NativeSample) {
	step := (to-from)/40 + rng.Int64N(to-from)/int64(1+rng.IntN(20))
	upper, custom, form := bounds(rng), rng.IntN(5) == 0, kin(rng)
	begin := func() quantile.Native {
		h := drawWhole(rng, form)
		if custom {
			h = drawCustom(rng, upper)
		}
		h, _ = quantile.Sum(h)
		return h
	}
	now := begin()
	for at := from + rng.Int64N(step); at < to; at += step + rng.Int64N(step/8+1) {
		switch {
		case rng.IntN(15) == 0:
			now = begin()
		case rng.IntN(5) > 0:
			more := begin()
			if !custom { // the process grows coarser, never finer
				if more.Schema = min(more.Schema, now.Schema); rng.IntN(8) > 0 {
					more.Schema = now.Schema
				}
				more.ZeroThreshold = now.ZeroThreshold
				more.Positive, more.Negative = drawSide(rng, more.Schema, true), nil
				count(&more)
			}
			if sum, ok := quantile.Sum(now, more); ok {
				now = sum
			}
		}
		out = append(out, quantile.NativeSample{At: time.UnixMilli(at), Histogram: now})
	}
	return out
}
