package analytics

import "time"

// grain is the length of a rollup's cells, in minutes. Cells begin with 2000-01-01 in UTC.
type grain int16

// grains lists them, the longest first.
func grains() []grain { return []grain{1440, 180, 15} }

func (g grain) length() time.Duration { return time.Duration(g) * time.Minute }

func (g grain) floor(at time.Time) time.Time {
	into := at.Sub(earliest()) % g.length()
	if into < 0 {
		into += g.length()
	}
	return at.Add(-into)
}

func (g grain) ceil(at time.Time) time.Time {
	if low := g.floor(at); low.Before(at) {
		return low.Add(g.length())
	}
	return at
}

// stretch is a part of a span that is read from cells of one grain.
type stretch struct {
	grain     grain
	low, high time.Time
}

// cover cuts the buckets into stretches of the longest cells that fit, so that each moment is in one stretch and
// no cell reaches over the edge of a bucket.
func cover(edges []time.Time) []stretch {
	var all []stretch
	for i := 1; i < len(edges); i++ {
		all = fill(all, edges[i-1], edges[i], grains())
	}
	return all
}

func fill(all []stretch, from, to time.Time, by []grain) []stretch {
	if !from.Before(to) {
		return all
	}
	low, high := by[0].ceil(from), by[0].floor(to)
	switch {
	case len(by) == 1: // zones are whole quarters of an hour apart
		return add(all, stretch{by[0], from, to})
	case !low.Before(high):
		return fill(all, from, to, by[1:])
	}
	all = add(fill(all, from, low, by[1:]), stretch{by[0], low, high})
	return fill(all, high, to, by[1:])
}

// add joins a stretch to the last one where it goes on.
func add(all []stretch, s stretch) []stretch {
	if n := len(all); n > 0 && all[n-1].grain == s.grain && all[n-1].high.Equal(s.low) {
		all[n-1].high = s.high
		return all
	}
	return append(all, s)
}
