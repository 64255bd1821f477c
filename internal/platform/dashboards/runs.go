package dashboards

func runs() Dashboard {
	return Dashboard{
		UID: "lari-runs", File: "runs", Title: "Lari / Runs",
		Description: "How runs begin, wait, answer and end; what holds them; the tools that they call.",
		Rows: []Row{
			{"From creation to end", runTimes()},
			{"Now", activePanels()},
			{"Comparison with Temporal", reconcilerPanels()},
			{"Tools and knowledge", toolPanels()},
			{"Schedules", schedulePanels()},
		},
	}
}

func runTimes() []Panel {
	tenants := []string{anyTenant}
	return []Panel{
		{
			ID: "started", Kind: Timeseries, Unit: RunsPerHour, Width: 8, Title: english("Started and ended"),
			Description: english("Runs per hour: where more begin than end, they pile up."),
			Queries: []Query{
				{ID: "started", Legend: "started", PromQL: perHour("lari_runs_started_total", tenants)},
				{ID: "ended", Legend: "ended", PromQL: perHour(runsFinished, tenants)},
			},
		},
		{
			ID: "by_status", Kind: Timeseries, Unit: RunsPerHour, Stacked: true, Width: 8, Title: english("Ended by status"),
			Description: english("Runs that ended per hour, by how they ended."),
			Queries:     []Query{{ID: "n", Legend: "{{status}}", PromQL: perHour(runsFinished, tenants, "status")}},
		},
		{
			ID: "failed", Kind: Timeseries, Unit: Share, Width: 8, Title: english("Failed runs"), Thresholds: shares(0.05, 0.2),
			Description: english("Share of the runs that ended which failed or ran out of time."),
			Queries:     []Query{{ID: "n", Legend: "failed", PromQL: share(runsFinished, tenants, failedRuns)}},
		},
		{
			ID: "queue_wait", Kind: Timeseries, Unit: Seconds, Title: english("Queue wait"), Thresholds: shares(5, 60),
			Description: english("From the creation of a run to its start, holds included. The dots are runs."), Queries: percentiles(queueWait, tenants, nil),
		},
		{
			ID: "first_token", Kind: Timeseries, Unit: Seconds, Title: english("Time to first token"), Thresholds: shares(3, 10),
			Description: english("From the creation of a run to the first text of its answer."), Queries: percentiles(firstToken, tenants, nil),
		},
		{
			ID: "duration", Kind: Timeseries, Unit: Seconds, Title: english("Duration"),
			Description: english("From the creation of a run to its end, waiting included."), Queries: percentiles(runDuration, tenants, nil),
		},
		{
			ID: "duration_by_status", Kind: Timeseries, Unit: Seconds, Title: english("Duration p95 by status"),
			Description: english("Failed runs that take long wait for what does not come."),
			Queries:     []Query{{ID: "n", Legend: "{{status}}", PromQL: quantile("0.95", runDuration, tenants, "status")}},
		},
		{
			ID: "cancel", Kind: Timeseries, Unit: Seconds, Title: english("Cancel to stopped"), Thresholds: shares(1, 10),
			Description: english("From the request to cancel a run to its end."), Queries: percentiles(cancelling, tenants, nil),
		},
		{
			ID: "waiting_tenants", Kind: Timeseries, Unit: Seconds, Title: english("Queue wait p95 by tenant"), Links: []Link{ToTenant},
			Description: english("The ten tenants that wait longest: whether the queue is fair."),
			Queries:     []Query{{ID: "n", Legend: "{{tenant_id}}", PromQL: top(10, quantile("0.95", queueWait, tenants, "tenant_id"))}},
		},
	}
}

func activePanels() []Panel {
	active := selector(activeRuns, anyTenant, ofWorkspace)
	return []Panel{
		{
			ID: "active", Kind: Timeseries, Unit: Count, Stacked: true, Width: 8, Title: english("Active runs by tenant"), Links: []Link{ToTenant},
			Description: english("Runs that have started and not ended, of the ten tenants with most."),
			Queries:     []Query{{ID: "n", Legend: "{{tenant_id}}", PromQL: top(10, "sum by (tenant_id) ("+active+")")}},
		},
		{
			ID: "workspaces", Kind: Timeseries, Unit: Count, Stacked: true, Width: 8, Title: english("Active runs by workspace"),
			Description: english("The gauge of active runs is the only metric that carries the workspace. _none: runs without one."),
			Queries:     []Query{{ID: "n", Legend: "{{workspace_id}}", PromQL: top(10, "sum by (workspace_id) ("+active+")")}},
		},
		{
			ID: "held", Kind: Timeseries, Unit: Count, Stacked: true, Width: 8, Title: english("Held runs by reason"),
			Description: english("Runs of all tenants that are accepted and held back, by what holds them."),
			Queries:     []Query{{ID: "n", Legend: "{{reason}}", PromQL: "max by (reason) (lari_runs_held)"}},
		},
		{
			ID: "active_table", Kind: Table, Unit: Count, Width: 24, Title: english("Active runs"), Links: []Link{ToTenant, ToRun, ToWorkflow},
			Description: english("Each with its page in the console and its workflow in Temporal's UI. A process shows 2,000; the others are counted as _other."),
			Queries:     []Query{{ID: "n", Legend: "runs", PromQL: "sum by (tenant_id, workspace_id, run_id) (" + active + ")"}},
		},
	}
}

func reconcilerPanels() []Panel {
	return []Panel{
		{
			ID: "found", Kind: Timeseries, Unit: RunsPerHour, Width: 8, Title: english("Runs that did not stand as their workflow does"),
			Description: english("Found per hour, by what became of the workflow: terminated, timed out or stuck. A stuck one is counted by every pass that sees it."),
			Queries:     []Query{{ID: "n", Legend: "{{workflow}}", PromQL: perHour("lari_reconciler_found_total", nil, "workflow")}},
		},
		{
			ID: "announced", Kind: Timeseries, Unit: RunsPerHour, Width: 8, Title: english("Ends told late"),
			Description: english("Ends of runs per hour that connectors were told after a crash."),
			Queries:     []Query{{ID: "n", Legend: "told late", PromQL: perHour("lari_reconciler_announced_total", nil)}},
		},
		{
			ID: "passes", Kind: Timeseries, Unit: RunsPerHour, Width: 8, Title: english("Passes of the reconciler"),
			Description: english("Per hour, by outcome; failed ones are made again. No pass for long: ends that no workflow saw are not found."),
			Queries:     []Query{{ID: "n", Legend: "{{outcome}}", PromQL: perHour("lari_reconciler_passes_total", nil, "outcome")}},
		},
	}
}

func toolPanels() []Panel {
	const calls, took, search = "lari_tool_calls_total", "lari_tool_call_duration_seconds", "lari_knowledge_search_duration_seconds"
	return []Panel{
		{
			ID: "tool_calls", Kind: Timeseries, Unit: PerSecond, Width: 6, Title: english("Calls of tools"),
			Description: english("Per second, by tool and outcome."),
			Queries:     []Query{{ID: "n", Legend: "{{tool}} {{outcome}}", PromQL: perSecond(calls, nil, "tool", "outcome")}},
		},
		{
			ID: "tool_duration", Kind: Timeseries, Unit: Seconds, Width: 6, Title: english("Duration p95 of tools"),
			Description: english("Time of a call, whatever its outcome."),
			Queries:     []Query{{ID: "n", Legend: "{{tool}}", PromQL: quantile("0.95", took, nil, "tool")}},
		},
		{
			ID: "search_rate", Kind: Timeseries, Unit: PerSecond, Width: 6, Title: english("Searches in knowledge"),
			Description: english("Per second, by outcome."),
			Queries:     []Query{{ID: "n", Legend: "{{outcome}}", PromQL: perSecond(search+"_count", nil, "outcome")}},
		},
		{
			ID: "search_duration", Kind: Timeseries, Unit: Seconds, Width: 6, Title: english("Duration of searches"),
			Description: english("Time of a search in a tenant's knowledge."), Queries: percentiles(search, nil, nil),
		},
	}
}
