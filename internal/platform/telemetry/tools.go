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

// Called records a call that ended, well or not, and of which run and trace it was.
func (t *Tools) Called(tool, outcome string, took time.Duration, e ...Exemplar) {
	tool = t.tools.label(tool)
	t.calls.get(outcomeKey{name: tool, outcome: t.outcomes.label(outcome)}).Inc()
	observe(t.duration.get(tool), took, only(e))
}
