package telemetry

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// exemplarEvery is how often a bucket takes an exemplar: a scrape sees the last one only, and each costs a microsecond.
const exemplarEvery = time.Second

// sparing is a histogram that takes an exemplar now and then, in each bucket for itself: one that is seldom hit takes
// every one.
type sparing struct {
	prometheus.Histogram
	bounds []float64
	next   []atomic.Int64 // by bucket, +Inf last: the Unix time in nanoseconds from which on it takes one
}

func newSparing(o prometheus.Observer, bounds []float64) prometheus.Observer {
	h, ok := o.(prometheus.Histogram)
	if !ok {
		return o
	}
	return &sparing{Histogram: h, bounds: bounds, next: make([]atomic.Int64, len(bounds)+1)}
}

// wants reports whether the bucket of a value takes an exemplar now, and closes it for a while then.
func (s *sparing) wants(value float64, now int64) bool {
	bucket, _ := slices.BinarySearch(s.bounds, value)
	next := s.next[bucket].Load()
	return now >= next && s.next[bucket].CompareAndSwap(next, now+int64(exemplarEvery))
}

// ObserveWithExemplar is part of prometheus.ExemplarObserver.
func (s *sparing) ObserveWithExemplar(value float64, labels prometheus.Labels) {
	if e, ok := s.Histogram.(prometheus.ExemplarObserver); ok {
		e.ObserveWithExemplar(value, labels)
		return
	}
	s.Observe(value)
}

// observeSparingly observes in each histogram, with the exemplar in those that want one.
func observeSparingly(value float64, now time.Time, e Exemplar, all ...prometheus.Observer) {
	var labels prometheus.Labels
	for _, o := range all {
		s, ok := o.(*sparing)
		if !ok || !s.wants(value, now.UnixNano()) {
			o.Observe(value)
			continue
		}
		if labels == nil {
			labels = e.labels()
		}
		if labels == nil {
			o.Observe(value)
			continue
		}
		s.ObserveWithExemplar(value, labels)
	}
}
