package quantile

import "slices"

// add adds the other histogram, times sign, at the coarser of the two resolutions and with the greater of their
// buckets of zero; false: bounds that are given cannot be added to others.
func (h *Native) add(other Native, sign float64) bool {
	if (h.Schema == CustomBounds || other.Schema == CustomBounds) && (h.Schema != other.Schema || !slices.Equal(h.Bounds, other.Bounds)) {
		return false
	}
	other = other.withZeroOf(h)
	h.ZeroCount += sign * other.ZeroCount
	h.Count += sign * other.Count
	h.Sum += sign * other.Sum
	schema := min(h.Schema, other.Schema)
	*h, other = h.coarser(schema), other.coarser(schema)
	h.Positive = addBuckets(h.Positive, other.Positive, sign)
	h.Negative = addBuckets(h.Negative, other.Negative, sign)
	return true
}

// Sum adds up native histograms of several series; empty buckets are left out. ok is false for none, and for bounds
// that are given and differ.
func Sum(all ...Native) (sum Native, ok bool) {
	for i, h := range all {
		if i == 0 {
			sum = h.clone()
		} else if !sum.add(h, 1) {
			return Native{}, false
		}
	}
	sum.compact()
	return sum, len(all) > 0
}

func (h Native) clone() Native {
	h.Positive, h.Negative = slices.Clone(h.Positive), slices.Clone(h.Negative)
	return h
}

func (h *Native) compact() {
	empty := func(b NativeBucket) bool { return b.Count == 0 }
	h.Positive, h.Negative = slices.DeleteFunc(h.Positive, empty), slices.DeleteFunc(h.Negative, empty)
}

// withZeroOf gives the other histogram with a bucket of zero as wide as that of h, which is widened for it if need be.
func (h Native) withZeroOf(other *Native) Native {
	for h.Schema != CustomBounds && h.ZeroThreshold != other.ZeroThreshold {
		if h.ZeroThreshold < other.ZeroThreshold {
			h = h.widened(other.ZeroThreshold)
		} else {
			*other = other.widened(h.ZeroThreshold)
		}
	}
	return h
}

// widened gives the histogram with a bucket of zero up to the threshold, or further to the end of a bucket that
// counted something and would be cut in two.
func (h Native) widened(threshold float64) Native {
	if threshold == h.ZeroThreshold {
		return h
	}
	for grown := true; grown; {
		grown = false
		for _, side := range [][]NativeBucket{h.Positive, h.Negative} {
			for _, b := range side {
				if upper := h.bound(b.Index); b.Count != 0 && h.bound(b.Index-1) < threshold && upper > threshold {
					threshold, grown = upper, true
				}
			}
		}
	}
	swallow := func(side []NativeBucket) (kept []NativeBucket) {
		for _, b := range side {
			if h.bound(b.Index-1) < threshold {
				h.ZeroCount += b.Count
			} else {
				kept = append(kept, b)
			}
		}
		return kept
	}
	h.Positive, h.Negative, h.ZeroThreshold = swallow(h.Positive), swallow(h.Negative), threshold
	return h
}

// coarser gives the histogram at a lower resolution.
func (h Native) coarser(schema int32) Native {
	if h.Schema == schema {
		return h
	}
	merge := func(side []NativeBucket) (out []NativeBucket) {
		for _, b := range side {
			b.Index = (b.Index-1)>>(h.Schema-schema) + 1
			if n := len(out); n > 0 && out[n-1].Index == b.Index {
				out[n-1].Count += b.Count
			} else {
				out = append(out, b)
			}
		}
		return out
	}
	h.Positive, h.Negative, h.Schema = merge(h.Positive), merge(h.Negative), schema
	return h
}

// addBuckets gives the sum of two sorted lists.
func addBuckets(a, b []NativeBucket, sign float64) []NativeBucket {
	if len(b) == 0 {
		return a
	}
	out := make([]NativeBucket, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Index < b[0].Index:
			out, a = append(out, a[0]), a[1:]
		case len(a) == 0 || b[0].Index < a[0].Index:
			out, b = append(out, NativeBucket{b[0].Index, sign * b[0].Count}), b[1:]
		default:
			out, a, b = append(out, NativeBucket{a[0].Index, a[0].Count + sign*b[0].Count}), a[1:], b[1:]
		}
	}
	return out
}
