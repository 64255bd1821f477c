package telemetry

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/larirun/lari/internal/platform/quantile"
)

// reading is a histogram at a time: its classic buckets, or its native ones where it has them, which are finer.
type reading struct {
	at     time.Time
	counts []uint64         // cumulative, of the classic buckets
	native *quantile.Native // nil: it has none
}

// count is how much was observed by then; nothing before the first reading.
func (r reading) count() uint64 {
	switch {
	case r.native != nil:
		return uint64(r.native.Count)
	case len(r.counts) > 0:
		return r.counts[len(r.counts)-1]
	}
	return 0
}

func (r reading) same(other reading) bool { // what counted nothing did not change
	return r.count() == other.count() && slices.Equal(r.counts, other.counts)
}

// readHistogram gives what a histogram holds and the bounds of its classic buckets, +Inf last.
func readHistogram(o prometheus.Observer, now time.Time, native bool) (r reading, bounds []float64, ok bool) {
	metric, ok := o.(prometheus.Metric)
	if !ok {
		return reading{}, nil, false
	}
	var out dto.Metric
	if err := metric.Write(&out); err != nil {
		return reading{}, nil, false
	}
	h := out.GetHistogram()
	if native && h.Schema != nil {
		return reading{at: now, native: nativeOf(h)}, nil, true
	}
	r.at = now
	for _, b := range h.GetBucket() {
		if !math.IsInf(b.GetUpperBound(), +1) { // it is there when it has an exemplar
			bounds = append(bounds, b.GetUpperBound())
			r.counts = append(r.counts, b.GetCumulativeCount())
		}
	}
	return reading{at: now, counts: append(r.counts, h.GetSampleCount())}, append(bounds, math.Inf(+1)), true
}

// nativeOf unpacks the buckets of a native histogram, which are sent as spans and differences.
func nativeOf(h *dto.Histogram) *quantile.Native {
	side := func(spans []*dto.BucketSpan, deltas []int64) []quantile.NativeBucket {
		out := make([]quantile.NativeBucket, 0, len(deltas))
		index, count := int32(0), int64(0)
		for _, s := range spans {
			index += s.GetOffset()
			for range s.GetLength() {
				count += deltas[len(out)]
				out = append(out, quantile.NativeBucket{Index: index, Count: float64(count)})
				index++
			}
		}
		return out
	}
	return &quantile.Native{
		Schema: h.GetSchema(), ZeroThreshold: h.GetZeroThreshold(), ZeroCount: float64(h.GetZeroCount()),
		Count: float64(h.GetSampleCount()), Sum: h.GetSampleSum(),
		Positive: side(h.GetPositiveSpan(), h.GetPositiveDelta()), Negative: side(h.GetNegativeSpan(), h.GetNegativeDelta()),
	}
}

// distribution is what histograms counted in a window: in classic buckets or in native ones.
type distribution struct {
	buckets []quantile.Bucket
	native  *quantile.Native
}

func (d distribution) count() float64 {
	switch {
	case d.native != nil:
		return d.native.Count
	case len(d.buckets) > 0:
		return d.buckets[len(d.buckets)-1].Count
	}
	return 0
}

func (d distribution) quantile(q float64) float64 {
	if d.native != nil {
		return quantile.OfNative(q, *d.native)
	}
	return quantile.OfBuckets(q, slices.Clone(d.buckets))
}

// join adds up two distributions of the same metric.
func (d distribution) join(other distribution) distribution {
	switch {
	case d.native == nil && d.buckets == nil:
		return other
	case d.native != nil && other.native != nil:
		if sum, ok := quantile.Sum(*d.native, *other.native); ok {
			return distribution{native: &sum}
		}
		return d
	}
	sum := slices.Clone(d.buckets)
	for i := range sum {
		sum[i].Count += other.buckets[i].Count
	}
	return distribution{buckets: sum}
}

// rise is what one series counted from the first to the last of its readings.
func rise(history []reading, bounds []float64) distribution {
	first, last := history[0], history[len(history)-1]
	if last.native != nil {
		return distribution{native: nativeRise(first, last)}
	}
	d := distribution{buckets: make([]quantile.Bucket, len(bounds))}
	samples := make([]quantile.Sample, len(history))
	for b, bound := range bounds {
		for i, r := range history {
			samples[i] = quantile.Sample{At: r.at}
			if len(r.counts) > 0 { // the zero before the first reading has none
				samples[i].Value = float64(r.counts[b])
			}
		}
		rise, _ := quantile.Increase(samples, first.at, last.at) // the samples reach both ends: nothing is extrapolated
		d.buckets[b] = quantile.Bucket{UpperBound: bound, Count: rise}
	}
	return d
}

// nativeRise needs no readings in between: a process's own histogram does not begin anew.
func nativeRise(first, last reading) *quantile.Native {
	before := first.native
	if before == nil { // the zero before the first reading
		before = &quantile.Native{Schema: last.native.Schema, ZeroThreshold: last.native.ZeroThreshold}
	}
	d, ok := quantile.IncreaseNative([]quantile.NativeSample{{At: first.at, Histogram: *before}, {At: last.at, Histogram: *last.native}}, first.at, last.at)
	if !ok {
		return last.native
	}
	return &d
}
