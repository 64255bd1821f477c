package quantile

import "time"

// Sample is a counter's value at a time.
type Sample struct {
	At    time.Time
	Value float64
}

// Increase gives how much a counter went up between two times, of samples within them, the oldest first.
// A value below the one before is a reset: the counter began at zero again. Where samples do not reach
// an end of the span the increase is extrapolated to it: all the way if the gap is not much longer
// than those between samples (1.1 times), else by half of such a gap, and never to before the counter
// would have been zero. Fewer than two samples say nothing: false.
//
// Times count in milliseconds, as Prometheus keeps them.
func Increase(samples []Sample, from, to time.Time) (float64, bool) {
	if len(samples) < 2 {
		return 0, false
	}
	first, last := samples[0], samples[len(samples)-1]
	rise := last.Value - first.Value
	for i, s := range samples[1:] {
		if before := samples[i].Value; s.Value < before {
			rise += before
		}
	}
	return rise * stretch(first.At, last.At, len(samples), first.Value, rise, from, to), true
}

// stretch is by how much a rise between the first and the last of n samples is extrapolated to a span.
func stretch(first, last time.Time, n int, value, rise float64, from, to time.Time) float64 {
	sampled := seconds(first, last)
	if sampled == 0 {
		return 1
	}
	gap := sampled / float64(n-1)
	reach := func(distance float64) float64 {
		if distance >= gap*1.1 {
			return gap / 2
		}
		return distance
	}
	before, after := reach(seconds(from, first)), reach(seconds(last, to))
	if rise > 0 && value >= 0 {
		before = min(before, sampled*(value/rise))
	}
	return (sampled + before + after) / sampled
}

func seconds(from, to time.Time) float64 { return float64(to.UnixMilli()-from.UnixMilli()) / 1000 }
