package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Events measures the event log.
type Events struct {
	batch    prometheus.Histogram
	duration prometheus.Histogram
}

// Appended records one transaction that appended that many events.
func (e *Events) Appended(events int, took time.Duration) {
	e.batch.Observe(float64(events))
	e.duration.Observe(took.Seconds())
}
