package telemetry

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
		http:       newTrack(m.HTTP.duration.each, began, o.Native),
		run:        newTrack(m.Runs.duration.each, began, o.Native),
		wait:       newTrack(m.Runs.wait.each, began, o.Native),
		firstToken: newTrack(m.Runs.firstToken.each, began, o.Native),
	}
}

// RunWindow reads the histograms until ctx ends. Without it a window begins with the process.
func (m *Metrics) RunWindow(ctx context.Context) {
	if m.off {
		return
	}
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
	bounds []float64 // of the classic buckets, +Inf last; the series of a metric have the same
	native bool      // read the native buckets where there are any
}

func newTrack[K comparable](each func(func(K, prometheus.Observer)), began time.Time, native bool) *track[K] {
	return &track[K]{each: each, series: map[K][]reading{}, last: began, native: native}
}

// read adds a reading. A series that is new was zero when the others were read last.
func (t *track[K]) read(now, oldest time.Time) {
	t.each(func(key K, o prometheus.Observer) {
		r, ok := t.readOne(o, now)
		if !ok {
			return
		}
		t.series[key] = append(prune(t.history(key), oldest), r)
		if h := t.series[key]; len(h) > 1 && h[len(h)-2].same(r) {
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

func (t *track[K]) readOne(o prometheus.Observer, now time.Time) (reading, bool) {
	r, bounds, ok := readHistogram(o, now, t.native)
	if ok && t.bounds == nil {
		t.bounds = bounds
	}
	return r, ok && len(bounds) == len(t.bounds)
}

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
		if last := history[len(history)-1]; len(history) == 1 && last.same(r) {
			return // idle
		}
		out[g] = out[g].join(rise(append(slices.Clip(history), r), t.bounds))
	})
	return out
}
