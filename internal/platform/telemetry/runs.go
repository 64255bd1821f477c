package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Runs counts runs. The run ids that its methods take become exemplars, with the id of the trace if it is kept;
// an empty run id leaves none.
type Runs struct {
	tenants    *labels
	statuses   *labels
	started    *handles[string, prometheus.Counter]
	finished   *handles[outcomeKey, prometheus.Counter]
	duration   *handles[outcomeKey, prometheus.Observer]
	wait       *handles[string, prometheus.Observer]
	firstToken *handles[string, prometheus.Observer]
	stopped    *handles[string, prometheus.Observer]
	active     *activeRuns
}

// outcomeKey names a thing and how it ended.
type outcomeKey struct{ name, outcome string }

// Started counts a run that began, and how long it had waited in the queue.
func (r *Runs) Started(tenant, runID string, waited time.Duration, traceID ...string) {
	tenant = r.tenants.label(tenant)
	r.started.get(tenant).Inc()
	observe(r.wait.get(tenant), waited, about(runID, traceID))
}

// FirstToken records how long after its creation a run showed its first text.
func (r *Runs) FirstToken(tenant, runID string, took time.Duration, traceID ...string) {
	observe(r.firstToken.get(r.tenants.label(tenant)), took, about(runID, traceID))
}

// Finished counts a run that ended in the given final status, and how long it took from its creation.
func (r *Runs) Finished(tenant, status, runID string, took time.Duration, traceID ...string) {
	key := outcomeKey{name: r.tenants.label(tenant), outcome: r.statuses.label(status)}
	r.finished.get(key).Inc()
	observe(r.duration.get(key), took, about(runID, traceID))
}

// Stopped records how long a cancelled run took to stop.
func (r *Runs) Stopped(tenant, runID string, took time.Duration, traceID ...string) {
	observe(r.stopped.get(r.tenants.label(tenant)), took, about(runID, traceID))
}

// Activate shows a run in the gauge of active runs. Doing so again changes nothing.
func (r *Runs) Activate(run ActiveRun) { r.active.add(run) }

// Deactivate takes the run out of the gauge. A run that is not in it is no error: it may have been shown
// by another process.
func (r *Runs) Deactivate(runID string) { r.active.remove(runID) }

// Active gives the runs in the gauge, the oldest first; tenants and workspaces as their labels. A run may start in one process
// and end in another: whoever shows runs asks the database now and then which of them have ended.
func (r *Runs) Active() []ActiveRun { return r.active.list() }
