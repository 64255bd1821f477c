package quantile

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// Bucket is a bucket of a classic histogram: how many observations were at most UpperBound. The count is
// cumulative, and need not be whole: increases are not.
type Bucket struct {
	UpperBound float64
	Count      float64
}

// noise is the relative difference between two counts that is taken for rounding.
const noise = 1e-12

// OfBuckets gives the q-quantile of a classic histogram, and sorts the buckets by the way. Within a bucket
// it interpolates linearly. The result is
//
//   - NaN when q is NaN, nothing was observed, the bucket of +Inf is missing or is the only one;
//   - -Inf for a q below 0, +Inf for one above 1;
//   - the upper bound of the last bucket but one when the quantile is in the bucket of +Inf;
//   - the upper bound of the first bucket when the quantile is in it and that bound is not positive; else
//     the first bucket begins at 0.
//
// Buckets of one bound are added up. A count below the one before, as histograms have that were read while
// they were written, or after a reset, is taken for equal to it.
func OfBuckets(q float64, buckets []Bucket) float64 {
	switch {
	case math.IsNaN(q):
		return math.NaN()
	case q < 0:
		return math.Inf(-1)
	case q > 1:
		return math.Inf(+1)
	}
	slices.SortStableFunc(buckets, func(a, b Bucket) int { return cmp.Compare(a.UpperBound, b.UpperBound) })
	if len(buckets) == 0 || !math.IsInf(buckets[len(buckets)-1].UpperBound, +1) {
		return math.NaN()
	}
	buckets = level(merge(buckets))
	top := len(buckets) - 1
	total := buckets[top].Count
	if top == 0 || total == 0 {
		return math.NaN()
	}
	rank := q * total
	at := sort.Search(top, func(i int) bool { return buckets[i].Count >= rank })
	switch {
	case at == top:
		return buckets[top-1].UpperBound
	case at == 0 && buckets[0].UpperBound <= 0:
		return buckets[0].UpperBound
	case at == 0:
		return buckets[0].UpperBound * (rank / buckets[0].Count)
	}
	below, in := buckets[at-1], buckets[at]
	return below.UpperBound + (in.UpperBound-below.UpperBound)*((rank-below.Count)/(in.Count-below.Count))
}

// merge adds up sorted buckets of one bound, in place.
func merge(buckets []Bucket) []Bucket {
	kept := buckets[:1]
	for _, b := range buckets[1:] {
		if last := &kept[len(kept)-1]; last.UpperBound == b.UpperBound {
			last.Count += b.Count
			continue
		}
		kept = append(kept, b)
	}
	return kept
}

// level takes back decreases and rises that are rounding, in place.
func level(buckets []Bucket) []Bucket {
	highest := buckets[0].Count
	for i := 1; i < len(buckets); i++ {
		if count := buckets[i].Count; count < highest || alike(highest, count) {
			buckets[i].Count = highest
		} else {
			highest = count
		}
	}
	return buckets
}

// smallestNormal is the smallest positive number that a float64 holds in full precision.
const smallestNormal = 0x1p-1022

func alike(a, b float64) bool {
	if a == b {
		return true
	}
	sum, difference := math.Abs(a)+math.Abs(b), math.Abs(a-b)
	if a == 0 || b == 0 || sum < smallestNormal {
		return difference < noise*smallestNormal
	}
	return difference/math.Min(sum, math.MaxFloat64) < noise
}
