package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Reconciler counts what the comparison of runs with their workflows finds.
type Reconciler struct {
	passes *handles[string, prometheus.Counter]
	words  *labels
	found  *handles[string, prometheus.Counter]
	untold prometheus.Counter
}

// The outcomes of passes, and the finding that alerts ask for.
const (
	passWhole  = "completed"
	passFailed = "failed"
	foundStuck = "stuck"
)

// Expect says that passes are to be made: their counters exist before the first one, in every process, so that
// their absence is seen.
func (r *Reconciler) Expect() {
	r.passes.get(passWhole)
	r.passes.get(passFailed)
	r.found.get(foundStuck)
}

// Passed counts a pass over the runs, or an attempt at one that has to be made again.
func (r *Reconciler) Passed(whole bool) {
	outcome := passFailed
	if whole {
		outcome = passWhole
	}
	r.passes.get(outcome).Inc()
}

// Found counts a run that did not stand as its workflow does, by what became of the workflow.
func (r *Reconciler) Found(ending string) { r.found.get(r.words.label(ending)).Inc() }

// Announced counts an end that connectors were told late.
func (r *Reconciler) Announced() { r.untold.Inc() }
