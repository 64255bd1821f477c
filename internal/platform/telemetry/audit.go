package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Audit measures the audit trail.
type Audit struct {
	batch    prometheus.Histogram
	duration prometheus.Histogram
	lost     prometheus.Counter
}

// Appended records one transaction that appended that many entries.
func (a *Audit) Appended(entries int, took time.Duration) {
	a.batch.Observe(float64(entries))
	a.duration.Observe(took.Seconds())
}

// Lost counts entries that could not be kept.
func (a *Audit) Lost(entries int) { a.lost.Add(float64(entries)) }
