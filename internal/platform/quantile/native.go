package quantile

import (
	"math"
	"slices"
)

// CustomBounds is the schema of a native histogram whose bounds are given and not computed.
const CustomBounds int32 = -53

// Native is a native histogram: the bounds of its buckets are the powers of 2^(2^-Schema), and only buckets that
// counted something need to be there. What is at most ZeroThreshold away from 0 is in a bucket of its own. Counts need
// not be whole: increases are not.
type Native struct {
	Schema        int32 // -4 (bounds 65536 apart in ratio) to 8 (0.3 % apart), or CustomBounds
	ZeroThreshold float64
	ZeroCount     float64
	Count         float64 // of all observations; more than the buckets hold when some were NaN
	Sum           float64 // only asked whether it is NaN, as it is after observations that are
	Positive      []NativeBucket
	Negative      []NativeBucket // by the absolute values
	Bounds        []float64      // with CustomBounds: the upper bounds of Positive's buckets 0, 1, …; the one after the last is +Inf
}

// NativeBucket is one bucket; buckets are sorted by their index.
type NativeBucket struct {
	Index int32 // of the upper bound
	Count float64
}

// span is a bucket with its bounds.
type span struct{ lower, upper, count float64 }

// OfNative gives the q-quantile of a native histogram. Within a bucket it interpolates exponentially, as if the
// observations were spread evenly over finer buckets; linearly in the bucket of zero and between given bounds. The
// result is
//
//   - NaN when q is NaN or nothing was observed, and where it is beyond all buckets because of observations that were NaN;
//   - -Inf for a q below 0, +Inf for one above 1;
//   - never below 0 in the bucket of zero when only positive buckets exist beside it, never above 0 when only negative ones do;
//   - with given bounds, the last of them when the quantile is above it, the first when it is below that and that is not positive.
func OfNative(q float64, h Native) float64 {
	switch {
	case q < 0:
		return math.Inf(-1)
	case q > 1:
		return math.Inf(+1)
	case h.Count == 0 || math.IsNaN(q):
		return math.NaN()
	}
	// From the end that is nearer; observations that are NaN are in no bucket, which only a walk from below finds.
	spans, rank := h.spans(), q*h.Count
	upwards := math.IsNaN(h.Sum) || q < 0.5
	if !upwards {
		slices.Reverse(spans)
		rank = (1 - q) * h.Count
	}
	var at span
	passed := 0.0
	for _, s := range spans {
		if s.count == 0 {
			continue
		}
		at = s
		if passed += s.count; passed >= rank {
			break
		}
	}
	if h.Schema == CustomBounds {
		switch {
		case math.IsInf(at.lower, -1) && at.upper <= 0:
			return at.upper
		case math.IsInf(at.lower, -1):
			at.lower = 0
		case math.IsInf(at.upper, +1):
			return at.lower
		}
	} else if at.lower < 0 && at.upper > 0 {
		switch {
		case len(h.Negative) == 0 && len(h.Positive) > 0:
			at.lower = 0
		case len(h.Positive) == 0 && len(h.Negative) > 0:
			at.upper = 0
		}
	}
	passed = min(passed, h.Count)
	switch {
	case passed < rank && math.IsNaN(h.Sum):
		return math.NaN()
	case passed < rank: // by rounding
		return at.upper
	case upwards:
		rank -= passed - at.count
	default:
		rank = passed - rank
	}
	return at.interpolate(rank/at.count, h.Schema == CustomBounds)
}

func (s span) interpolate(share float64, linear bool) float64 {
	if linear || s.lower <= 0 && s.upper >= 0 {
		return s.lower + (s.upper-s.lower)*share
	}
	lower, upper := math.Log2(math.Abs(s.lower)), math.Log2(math.Abs(s.upper))
	if s.lower > 0 {
		return math.Exp2(lower + (upper-lower)*share)
	}
	return -math.Exp2(upper + (lower-upper)*(1-share))
}

// spans gives the buckets from the lowest to the highest. A bucket into which the bucket of zero reaches begins where
// that ends.
func (h Native) spans() []span {
	out := make([]span, 0, len(h.Negative)+1+len(h.Positive))
	for _, b := range slices.Backward(h.Negative) {
		s := span{-h.bound(b.Index), -h.bound(b.Index - 1), b.Count}
		if s.upper < 0 && s.upper > -h.ZeroThreshold {
			s.upper = -h.ZeroThreshold
		}
		out = append(out, s)
	}
	if h.ZeroCount > 0 {
		out = append(out, span{-h.ZeroThreshold, h.ZeroThreshold, h.ZeroCount})
	}
	for _, b := range h.Positive {
		s := span{h.bound(b.Index - 1), h.bound(b.Index), b.Count}
		if s.lower > 0 && s.lower < h.ZeroThreshold {
			s.lower = h.ZeroThreshold
		}
		out = append(out, s)
	}
	return out
}

// bound is the upper bound of a bucket.
func (h Native) bound(index int32) float64 {
	switch {
	case h.Schema == CustomBounds && index < 0:
		return math.Inf(-1)
	case h.Schema == CustomBounds && int(index) >= len(h.Bounds):
		return math.Inf(+1)
	case h.Schema == CustomBounds:
		return h.Bounds[index]
	}
	return exponentialBound(index, h.Schema)
}

// exponentialBound is 2^(index*2^-schema). The last bound of a number is the greatest number, so that what is above
// it is infinity alone.
func exponentialBound(index, schema int32) float64 {
	power, rest := int(index), 0.0
	if schema < 0 {
		power <<= -schema
	} else {
		power >>= schema
		rest = float64(index&(1<<schema-1)) / float64(int(1)<<schema)
	}
	if rest == 0 && power == 1024 {
		return math.MaxFloat64
	}
	return math.Ldexp(math.Exp2(rest), power)
}
