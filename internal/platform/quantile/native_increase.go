package quantile

import (
	"slices"
	"time"
)

// NativeSample is a native histogram at a time.
type NativeSample struct {
	At        time.Time
	Histogram Native
}

// IncreaseNative is Increase of a native histogram: what it counted between two times. It has the lowest resolution of
// the samples. A reset is a sample that counted less than the one before in any bucket, or has a finer resolution or a
// narrower bucket of zero: those only become coarser and wider by themselves. false: there are fewer than two samples,
// or bounds that are given differ.
func IncreaseNative(samples []NativeSample, from, to time.Time) (Native, bool) {
	if len(samples) < 2 {
		return Native{}, false
	}
	first, last := samples[0].Histogram, samples[len(samples)-1].Histogram
	before := first
	if second := samples[1].Histogram; second.isResetOf(first) { // the first one then counts for nothing
		before = Native{Schema: second.Schema, Bounds: second.Bounds}
	}
	schema := min(last.Schema, before.Schema)
	for _, s := range samples[1 : len(samples)-1] {
		if schema = min(schema, s.Histogram.Schema); (s.Histogram.Schema == CustomBounds) != (before.Schema == CustomBounds) {
			return Native{}, false
		}
	}
	if (last.Schema == CustomBounds) != (before.Schema == CustomBounds) {
		return Native{}, false
	}
	rise := last.clone().coarser(schema)
	if !rise.add(before, -1) {
		return Native{}, false
	}
	for _, s := range samples[1:] {
		if s.Histogram.isResetOf(before) && !rise.add(before, 1) {
			return Native{}, false
		}
		before = s.Histogram
	}
	factor := stretch(samples[0].At, samples[len(samples)-1].At, len(samples), first.Count, rise.Count, from, to)
	rise.scale(factor)
	rise.compact()
	return rise, true
}

func (h *Native) scale(factor float64) {
	h.ZeroCount *= factor
	h.Count *= factor
	h.Sum *= factor
	for _, side := range [][]NativeBucket{h.Positive, h.Negative} {
		for i := range side {
			side[i].Count *= factor
		}
	}
}

// isResetOf reports whether a counter that showed previous must have begun anew to show h.
func (h Native) isResetOf(previous Native) bool {
	if h.Count < previous.Count {
		return true
	}
	if h.Schema == CustomBounds {
		return previous.Schema != CustomBounds || !slices.Equal(h.Bounds, previous.Bounds) || fell(h.Positive, previous.Positive)
	}
	if h.Schema > previous.Schema || h.ZeroThreshold < previous.ZeroThreshold || previous.Schema == CustomBounds {
		return true
	}
	wide := previous.widened(h.ZeroThreshold)
	if wide.ZeroThreshold != h.ZeroThreshold || h.ZeroCount < wide.ZeroCount {
		return true
	}
	wide = wide.coarser(h.Schema)
	return fell(h.Positive, wide.Positive) || fell(h.Negative, wide.Negative)
}

// fell reports whether any bucket counts less than before.
func fell(now, before []NativeBucket) bool {
	for _, b := range before {
		i, found := slices.BinarySearchFunc(now, b.Index, func(n NativeBucket, index int32) int { return int(n.Index) - int(index) })
		if !found && b.Count > 0 || found && now[i].Count < b.Count {
			return true
		}
	}
	return false
}
