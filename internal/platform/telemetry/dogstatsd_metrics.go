package telemetry

import "time"

// What Datadog is told: the facts of the Prometheus metrics of the same names (metrics.go), with dots for
// underscores. Durations are distributions in seconds, of which Datadog computes percentiles over all
// hosts. Tags are bounded as labels are. A run's id would make every series a new one, each of which
// Datadog charges for: it is a tag of the gauge of active runs only, of at most maxTaggedRuns at a time.
const (
	ddRunsStarted    = "lari.runs.started"                    // count: tenant_id, workspace_id
	ddRunsFinished   = "lari.runs.finished"                   // count: tenant_id, workspace_id, status
	ddRunsActive     = "lari.runs.active"                     // gauge: tenant_id, workspace_id, run_id
	ddRunDuration    = "lari.run.duration_seconds"            // distribution: tenant_id, workspace_id, status
	ddRunQueueWait   = "lari.run.queue_wait_seconds"          // distribution: tenant_id, workspace_id
	ddRunFirstToken  = "lari.run.time_to_first_token_seconds" //nolint:gosec // G101: it is no token; distribution: tenant_id
	ddRunStopped     = "lari.run.cancel_to_stopped_seconds"   // distribution: tenant_id, workspace_id
	ddModelTokens    = "lari.model.tokens"                    // count: tenant_id, provider, model, direction
	ddModelCost      = "lari.model.cost_usd"                  // distribution, of which the sum counts: tenant_id, provider, model
	ddModelDuration  = "lari.model.call_duration_seconds"     // distribution: provider, model
	ddModelErrors    = "lari.model.errors"                    // count: provider, model, class
	ddToolCalls      = "lari.tool.calls"                      // count: tool, outcome
	ddToolDuration   = "lari.tool.call_duration_seconds"      // distribution: tool
	ddConnectorTries = "lari.connector.attempts"              // count: connector, hook, outcome
	ddConnectorLag   = "lari.connector.lag_seconds"           // distribution: connector

	maxWorkspaces = 1000
	maxTaggedRuns = 100
)

// RunStarted counts a run that began, and how long it had waited in the queue.
func (d *DogStatsD) RunStarted(tenant, workspace string, waited time.Duration) {
	if d == nil {
		return
	}
	d.count(ddRunsStarted, 1, d.owner(tenant, workspace)...)
	d.observe(ddRunQueueWait, waited.Seconds(), d.owner(tenant, workspace)...)
}

// RunFinished counts a run that ended in the given final status, and how long it took.
func (d *DogStatsD) RunFinished(tenant, workspace, status string, took time.Duration) {
	if d == nil {
		return
	}
	tags := append(d.owner(tenant, workspace), tag("status", d.words.label(status)))
	d.count(ddRunsFinished, 1, tags...)
	d.observe(ddRunDuration, took.Seconds(), tags...)
}

// RunStopped records how long a cancelled run took to stop.
func (d *DogStatsD) RunStopped(tenant, workspace string, took time.Duration) {
	if d == nil {
		return
	}
	d.observe(ddRunStopped, took.Seconds(), d.owner(tenant, workspace)...)
}

// FirstToken records how long a run took to show its first text.
func (d *DogStatsD) FirstToken(tenant string, took time.Duration) {
	if d == nil {
		return
	}
	d.observe(ddRunFirstToken, took.Seconds(), tag("tenant_id", d.tenants.label(tenant)))
}

// ActiveRuns shows the runs that are active now; it is called again every few seconds, because the agent
// forgets a gauge. The runs above the bound are counted per owner in run_id _other: give the same ones
// first each time.
func (d *DogStatsD) ActiveRuns(runs []ActiveRun) {
	if d == nil {
		return
	}
	type owner struct{ tenant, workspace string }
	others := map[owner]int{}
	for i, r := range runs {
		o := owner{d.tenants.label(r.Tenant), d.workspaces.label(r.Workspace)}
		if i >= maxTaggedRuns {
			others[o]++
			continue
		}
		d.gauge(ddRunsActive, 1, tag("tenant_id", o.tenant), tag("workspace_id", o.workspace), tag("run_id", r.ID))
	}
	for o, n := range others {
		d.gauge(ddRunsActive, float64(n), tag("tenant_id", o.tenant), tag("workspace_id", o.workspace), tag("run_id", LabelOther))
	}
}

// ModelSpent counts the tokens of a turn and their price in US dollars.
func (d *DogStatsD) ModelSpent(tenant, provider, model string, inputTokens, outputTokens int64, usd float64) {
	if d == nil {
		return
	}
	tags := []string{tag("tenant_id", d.tenants.label(tenant)), tag("provider", d.words.label(provider)), tag("model", d.models.label(model))}
	for direction, n := range map[string]int64{"input": inputTokens, "output": outputTokens} {
		if n > 0 {
			d.count(ddModelTokens, n, append(tags[:3:3], tag("direction", direction))...)
		}
	}
	if usd > 0 {
		d.observe(ddModelCost, usd, tags...)
	}
}

// ModelAnswered records a turn that ended well.
func (d *DogStatsD) ModelAnswered(provider, model string, took time.Duration) {
	if d == nil {
		return
	}
	d.observe(ddModelDuration, took.Seconds(), tag("provider", d.words.label(provider)), tag("model", d.models.label(model)))
}

// ModelFailed counts a turn that failed, by the class of its failure.
func (d *DogStatsD) ModelFailed(provider, model, class string) {
	if d == nil {
		return
	}
	d.count(ddModelErrors, 1, tag("provider", d.words.label(provider)), tag("model", d.models.label(model)), tag("class", d.words.label(class)))
}

// ToolCalled records a call that ended, well or not.
func (d *DogStatsD) ToolCalled(tool, outcome string, took time.Duration) {
	if d == nil {
		return
	}
	name := tag("tool", d.words.label(tool))
	d.count(ddToolCalls, 1, name, tag("outcome", d.words.label(outcome)))
	d.observe(ddToolDuration, took.Seconds(), name)
}

// ConnectorAttempted counts one attempt at one of the five hooks.
func (d *DogStatsD) ConnectorAttempted(connector, hook, outcome string) {
	if d == nil {
		return
	}
	d.count(ddConnectorTries, 1, tag("connector", d.words.label(connector)), tag("hook", d.words.label(hook)), tag("outcome", d.words.label(outcome)))
}

// ConnectorDelivered records how long after the event the attempt succeeded.
func (d *DogStatsD) ConnectorDelivered(connector string, lag time.Duration) {
	if d == nil {
		return
	}
	d.observe(ddConnectorLag, lag.Seconds(), tag("connector", d.words.label(connector)))
}
