package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Reconciler counts what the comparison of runs with their workflows finds.
type Reconciler struct {
	words  *labels
	found  *handles[string, prometheus.Counter]
	untold prometheus.Counter
}

// Found counts a run that did not stand as its workflow does, by what became of the workflow.
func (r *Reconciler) Found(ending string) { r.found.get(r.words.label(ending)).Inc() }

// Announced counts an end that connectors were told late.
func (r *Reconciler) Announced() { r.untold.Inc() }
