package promql_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/kahansum"

	"github.com/larirun/lari/internal/platform/quantile"
)

var seed = flag.Uint64("seed", 0, "draw these histograms; 0: others each time")

const (
	histograms = 10_000
	tolerance  = 1e-9 // relative
)

// drawn gives a source of chances and says which.
func drawn(t *testing.T) *rand.Rand {
	t.Helper()
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("-seed %d", s)
	return rand.New(rand.NewPCG(s, 0))
}

func same(a, b float64) bool {
	if math.IsNaN(a) || math.IsNaN(b) {
		return math.IsNaN(a) && math.IsNaN(b)
	}
	return a == b || math.Abs(a-b) <= tolerance*math.Max(math.Abs(a), math.Abs(b))
}

func drawQuantile(rng *rand.Rand) float64 {
	switch rng.IntN(12) {
	case 0:
		return 0
	case 1:
		return 1
	case 2:
		return []float64{-0.5, 1.5, math.NaN()}[rng.IntN(3)]
	case 3, 4, 5:
		return []float64{0.5, 0.95, 0.99}[rng.IntN(3)]
	default:
		return rng.Float64()
	}
}

// history is what was read of one series of a histogram.
type history struct {
	at     []int64     // milliseconds
	counts [][]float64 // of each bucket, +Inf last
}

// drawHistory draws counts that rise, now and then begin anew, are torn, or are not whole.
func drawHistory(rng *rand.Rand, buckets int, from, to int64) history {
	var h history
	step := 1 + rng.Int64N(to-from)/int64(1+rng.IntN(20))
	counts := make([]float64, buckets)
	whole, torn, busy := rng.IntN(4) > 0, rng.IntN(8) == 0, rng.IntN(6) > 0
	for at := from + rng.Int64N(step); at < to; at += step + rng.Int64N(step/8+1) {
		if rng.IntN(15) == 0 {
			clear(counts)
		}
		if busy {
			sum := 0.0
			for i := range counts {
				if rng.IntN(3) > 0 {
					n := rng.ExpFloat64() * 10
					if whole {
						n = math.Floor(n)
					}
					sum += n
				}
				counts[i] += sum
			}
		}
		read := append([]float64(nil), counts...)
		if torn && buckets > 1 {
			read[rng.IntN(buckets)] *= rng.Float64()
		}
		h.at, h.counts = append(h.at, at), append(h.counts, read)
	}
	return h
}

// TestClassicQuantiles compares histogram_quantile(q, sum by (le) (increase(…))) over several series.
func TestClassicQuantiles(t *testing.T) {
	engine, rng := newEngine(), drawn(t)
	const window = 300_000
	numbers := 0
	for n := range histograms {
		evaluated := int64(1_700_000_000_000) + rng.Int64N(1000)
		upper := append(bounds(rng), math.Inf(1))
		if rng.IntN(50) == 0 && len(upper) > 1 {
			upper = upper[:len(upper)-1] // +Inf was lost
		}
		var all []history
		for range 1 + rng.IntN(3) {
			all = append(all, drawHistory(rng, len(upper), evaluated-window+1, evaluated))
		}
		q := drawQuantile(rng)

		var s stored
		for i, h := range all {
			for b, bound := range upper {
				var points []chunks.Sample
				for k, at := range h.at {
					points = append(points, point{at: at, value: h.counts[k][b]})
				}
				s = append(s, series(points, "__name__", "x_bucket", "instance", strconv.Itoa(i), "le", fmt.Sprint(bound)))
			}
		}
		text := strconv.FormatFloat(q, 'g', -1, 64)
		want, known := ask(t, engine, s, "histogram_quantile("+text+", sum by (le) (increase(x_bucket[5m])))", time.UnixMilli(evaluated))
		got, found := classic(q, upper, all, time.UnixMilli(evaluated-window), time.UnixMilli(evaluated))
		if found != known || known && !same(got, want) {
			t.Fatalf("histogram %d, q = %v: %v (%t), Prometheus says %v (%t)\nbounds %v\n%v", n, q, got, found, want, known, upper, all)
		}
		if known && !math.IsNaN(want) && !math.IsInf(want, 0) {
			numbers++
		}
	}
	if t.Logf("%d of %d quantiles are numbers", numbers, histograms); numbers < histograms/2 {
		t.Error("most comparisons are of nothing: the histograms are drawn badly")
	}
}

// classic is the query by our own functions. Prometheus adds up with Kahan's compensation, and so do we
// here: the sums of whole counts, which are the process's own, need none.
func classic(q float64, upper []float64, all []history, from, to time.Time) (float64, bool) {
	var buckets []quantile.Bucket
	for b, bound := range upper {
		var sum, rest float64
		any := false
		for _, h := range all {
			var samples []quantile.Sample
			for k, at := range h.at {
				samples = append(samples, quantile.Sample{At: time.UnixMilli(at), Value: h.counts[k][b]})
			}
			if rise, ok := quantile.Increase(samples, from, to); ok {
				if !any {
					sum, any = rise, true
					continue
				}
				sum, rest = kahansum.Inc(rise, sum, rest)
			}
		}
		if any {
			buckets = append(buckets, quantile.Bucket{UpperBound: bound, Count: sum + rest})
		}
	}
	return quantile.OfBuckets(q, buckets), len(buckets) > 0
}
