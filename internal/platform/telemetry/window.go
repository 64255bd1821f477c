package telemetry

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/larirun/lari/internal/platform/quantile"
)

// ticks is how many times in a window the histograms are read: a window is at most so much longer than
// its span.
const ticks = 20

// window remembers what the histograms read in the last minutes, so that it can say what they counted
// since. A reading is kept only where it differs from the one before: what is idle costs one.
type window struct {
	span time.Duration
	now  func() time.Time

	mu         sync.Mutex
	began      time.Time
	http       *track[httpKey]
	run        *track[outcomeKey]
	wait       *track[string]
	firstToken *track[string]
}

func newWindow(m *Metrics, o Options) *window {
	began := o.Now()
	return &window{
		span: o.Window, now: o.Now, began: began,
		http:       newTrack(m.HTTP.duration.each, began),
		run:        newTrack(m.Runs.duration.each, began),
		wait:       newTrack(m.Runs.wait.each, began),
		firstToken: newTrack(m.Runs.firstToken.each, began),
	}
}

// RunWindow reads the histograms until ctx ends. Without it a window begins with the process.
func (m *Metrics) RunWindow(ctx context.Context) {
	ticker := time.NewTicker(m.window.step())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			m.window.read()
		}
	}
}

func (w *window) step() time.Duration { return max(w.span/ticks, time.Second) }

// read takes a reading of all histograms and forgets those that no window reaches any more.
func (w *window) read() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	oldest := now.Add(-w.span)
	w.http.read(now, oldest)
	w.run.read(now, oldest)
	w.wait.read(now, oldest)
	w.firstToken.read(now, oldest)
}

// since gives the beginning of the window that ends now.
func (w *window) since(now time.Time) time.Time {
	if start := now.Add(-w.span); start.After(w.began) {
		return start
	}
	return w.began
}

// track is the readings of the histograms of a metric. It is guarded by the window's lock.
type track[K comparable] struct {
	each   func(func(K, prometheus.Observer))
	series map[K][]reading // the oldest first; the first one is what the window begins with
	last   time.Time
	bounds []float64 // of the buckets, +Inf last; the series of a metric have the same
}

// reading is a histogram at a time: its counts are cumulative.
type reading struct {
	at     time.Time
	counts []uint64
}

func newTrack[K comparable](each func(func(K, prometheus.Observer)), began time.Time) *track[K] {
	return &track[K]{each: each, series: map[K][]reading{}, last: began}
}

// read adds a reading. A series that is new was zero when the others were read last.
func (t *track[K]) read(now, oldest time.Time) {
	t.each(func(key K, o prometheus.Observer) {
		r, ok := t.readOne(o, now)
		if !ok {
			return
		}
		t.series[key] = append(prune(t.history(key), oldest), r)
		if h := t.series[key]; len(h) > 1 && slices.Equal(h[len(h)-2].counts, r.counts) {
			t.series[key] = h[:len(h)-1]
		}
	})
	t.last = now
}

func (t *track[K]) history(key K) []reading {
	if h := t.series[key]; len(h) > 0 {
		return h
	}
	return []reading{{at: t.last}}
}

// prune keeps, of the readings that are too old, the youngest.
func prune(h []reading, oldest time.Time) []reading {
	for len(h) > 1 && !h[1].at.After(oldest) {
		h = h[1:]
	}
	return h
}

// readOne reads the classic buckets of a histogram.
func (t *track[K]) readOne(o prometheus.Observer, now time.Time) (reading, bool) {
	metric, ok := o.(prometheus.Metric)
	if !ok {
		return reading{}, false
	}
	var out dto.Metric
	if err := metric.Write(&out); err != nil {
		return reading{}, false
	}
	buckets := out.GetHistogram().GetBucket()
	if n := len(buckets); n > 0 && math.IsInf(buckets[n-1].GetUpperBound(), +1) { // it is there when it has an exemplar
		buckets = buckets[:n-1]
	}
	if t.bounds == nil {
		for _, b := range buckets {
			t.bounds = append(t.bounds, b.GetUpperBound())
		}
		t.bounds = append(t.bounds, math.Inf(+1))
	}
	r := reading{at: now, counts: make([]uint64, 0, len(t.bounds))}
	for _, b := range buckets {
		r.counts = append(r.counts, b.GetCumulativeCount())
	}
	r.counts = append(r.counts, out.GetHistogram().GetSampleCount())
	return r, len(r.counts) == len(t.bounds)
}

// distribution is what histograms counted in a window.
type distribution []quantile.Bucket

func (d distribution) count() float64 {
	if len(d) == 0 {
		return 0
	}
	return d[len(d)-1].Count
}

func (d distribution) quantile(q float64) float64 { return quantile.OfBuckets(q, slices.Clone(d)) }

// within adds up what the series counted in the window that ends now, by group: those that group refuses
// are left out. A metric's series have the same buckets.
func within[K, G comparable](t *track[K], now, since time.Time, group func(K) (G, bool)) map[G]distribution {
	out := map[G]distribution{}
	t.each(func(key K, o prometheus.Observer) {
		g, wanted := group(key)
		if !wanted {
			return
		}
		r, ok := t.readOne(o, now)
		if !ok {
			return
		}
		history := prune(t.history(key), since)
		if last := history[len(history)-1]; len(history) == 1 && slices.Equal(last.counts, r.counts) {
			return // idle
		}
		if out[g] == nil {
			out[g] = newDistribution(t.bounds)
		}
		out[g].add(append(slices.Clip(history), r))
	})
	return out
}

func newDistribution(bounds []float64) distribution {
	d := make(distribution, len(bounds))
	for i, bound := range bounds {
		d[i].UpperBound = bound
	}
	return d
}

// add adds what one series counted from the first to the last of its readings.
func (d distribution) add(history []reading) {
	last := history[len(history)-1]
	samples := make([]quantile.Sample, len(history))
	for b := range d {
		for i, r := range history {
			samples[i] = quantile.Sample{At: r.at}
			if len(r.counts) > 0 { // the zero before the first reading has none
				samples[i].Value = float64(r.counts[b])
			}
		}
		rise, _ := quantile.Increase(samples, history[0].at, last.at) // the samples reach both ends: nothing is extrapolated
		d[b].Count += rise
	}
}
