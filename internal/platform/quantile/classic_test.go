package quantile_test

import (
	"math"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/quantile"
)

type buckets = []quantile.Bucket

func TestQuantilesOfBuckets(t *testing.T) {
	t.Parallel()
	inf, nan := math.Inf(1), math.NaN()
	ten := func() buckets { return buckets{{1, 2}, {2, 6}, {4, 8}, {inf, 10}} }
	for name, c := range map[string]struct {
		q    float64
		b    buckets
		want float64
	}{
		"none":                        {0.5, nil, nan},
		"nothing observed":            {0.5, buckets{{1, 0}, {inf, 0}}, nan},
		"one bucket":                  {0.5, buckets{{inf, 7}}, nan},
		"no bucket of +Inf":           {0.5, buckets{{1, 2}, {2, 3}}, nan},
		"q is no number":              {nan, ten(), nan},
		"q below 0":                   {-0.1, ten(), math.Inf(-1)},
		"q above 1":                   {1.1, ten(), inf},
		"first bucket begins at 0":    {0.1, ten(), 0.5},
		"within a bucket":             {0.4, ten(), 1.5},
		"at a bound":                  {0.6, ten(), 2},
		"in +Inf":                     {0.9, ten(), 4},
		"the least":                   {0, ten(), 0},
		"the greatest":                {1, ten(), 4},
		"unsorted":                    {0.4, buckets{{inf, 10}, {2, 6}, {4, 8}, {1, 2}}, 1.5},
		"a bound twice":               {0.4, buckets{{1, 1}, {1, 1}, {2, 6}, {4, 8}, {inf, 10}}, 1.5},
		"first bound not positive":    {0.1, buckets{{0, 2}, {2, 6}, {inf, 10}}, 0},
		"first bound negative":        {0.1, buckets{{-3, 2}, {2, 6}, {inf, 10}}, -3},
		"between negative bounds":     {0.4, buckets{{-3, 2}, {-1, 6}, {inf, 10}}, -2},
		"from negative to positive":   {0.4, buckets{{-3, 2}, {1, 6}, {inf, 10}}, -1},
		"a count that falls":          {0.4, buckets{{1, 2}, {1.5, 1}, {2, 6}, {inf, 10}}, 1.75},
		"the last count falls":        {0.5, buckets{{1, 2}, {2, 6}, {inf, 4}}, 1.25},
		"rounding is no observation":  {1, buckets{{1, 2}, {2, 2 * (1 + 1e-13)}, {inf, 2}}, 1},
		"counts that are not whole":   {0.5, buckets{{1, 0.25}, {2, 0.75}, {inf, 1}}, 1.5},
		"empty buckets are passed by": {0.5, buckets{{1, 0}, {2, 0}, {3, 4}, {inf, 4}}, 2.5},
		"all in the first":            {0.5, buckets{{8, 4}, {9, 4}, {inf, 4}}, 4},
		"infinitely many":             {0.5, buckets{{1, inf}, {inf, inf}}, nan},
	} {
		got := quantile.OfBuckets(c.q, c.b)
		if got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestIncrease(t *testing.T) {
	t.Parallel()
	at := func(s float64) time.Time { return time.UnixMilli(int64(s * 1000)) }
	for name, c := range map[string]struct {
		samples  []quantile.Sample
		from, to float64
		want     float64
		none     bool
	}{
		"none":                         {nil, 0, 60, 0, true},
		"one":                          {[]quantile.Sample{{at(5), 3}}, 0, 60, 0, true},
		"whole span":                   {[]quantile.Sample{{at(0), 3}, {at(60), 9}}, 0, 60, 6, false},
		"to both ends":                 {[]quantile.Sample{{at(10), 30}, {at(20), 40}, {at(30), 50}}, 0, 40, 40, false},
		"half a gap":                   {[]quantile.Sample{{at(20), 30}, {at(30), 40}, {at(40), 50}}, 0, 60, 30, false},
		"not below zero":               {[]quantile.Sample{{at(10), 2}, {at(20), 12}}, 0, 20, 12, false},
		"a reset":                      {[]quantile.Sample{{at(0), 5}, {at(10), 8}, {at(20), 2}, {at(30), 4}}, 0, 30, 7, false},
		"reset twice":                  {[]quantile.Sample{{at(0), 5}, {at(10), 1}, {at(20), 0}, {at(30), 4}}, 0, 30, 5, false},
		"nothing happened":             {[]quantile.Sample{{at(0), 5}, {at(10), 5}}, 0, 20, 0, false},
		"two samples at the same time": {[]quantile.Sample{{at(5), 1}, {at(5), 4}}, 0, 20, 3, false},
	} {
		got, ok := quantile.Increase(c.samples, at(c.from), at(c.to))
		if ok == c.none || math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, %t, want %v", name, got, ok, c.want)
		}
	}
}
