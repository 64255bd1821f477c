package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Connectors counts deliveries of lifecycle events.
type Connectors struct {
	words    *labels
	attempts *handles[attemptKey, prometheus.Counter]
	lag      *handles[string, prometheus.Observer]
}

type attemptKey struct{ connector, hook, outcome string }

// Attempted counts one attempt at one of the five hooks.
func (c *Connectors) Attempted(connector, hook, outcome string) {
	c.attempts.get(attemptKey{
		connector: c.words.label(connector), hook: c.words.label(hook), outcome: c.words.label(outcome),
	}).Inc()
}

// Delivered records how long after the event the attempt succeeded. The run id becomes an exemplar, with the id
// of the trace that the attempt is in if it is kept.
func (c *Connectors) Delivered(connector, runID string, lag time.Duration, traceID ...string) {
	observe(c.lag.get(c.words.label(connector)), lag, about(runID, traceID))
}
