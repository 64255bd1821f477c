package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Tools counts calls of tools.
type Tools struct {
	tools    *labels
	outcomes *labels
	calls    *handles[outcomeKey, prometheus.Counter]
	duration *handles[string, prometheus.Observer]
}

// Called records a call that ended, well or not.
func (t *Tools) Called(tool, outcome string, took time.Duration) {
	tool = t.tools.label(tool)
	t.calls.get(outcomeKey{name: tool, outcome: t.outcomes.label(outcome)}).Inc()
	t.duration.get(tool).Observe(took.Seconds())
}
