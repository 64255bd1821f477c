package dashboards

const (
	anyTenant    = `tenant_id=~"$tenant"`
	anyNamespace = `namespace=~"$namespace"`
)

func overview() Dashboard {
	return Dashboard{
		UID: "lari-overview", File: "overview", Title: "Lari / Overview",
		Description: "Page one: are requests answered, do runs begin and end well, is anything full, and whose load is it.",
		Rows: []Row{
			{"Now", nowPanels()},
			{"Requests by route: rate, errors, duration", routePanels()},
			{"Runs", overviewRuns()},
			{"Backlog", backlogPanels()},
			{"Saturation: pools, slots, processes", append(poolPanels(), processPanels()...)},
			{"Log and audit trail", logPanels()},
			{"Tenants", topTenants()},
		},
	}
}

func nowPanels() []Panel {
	return []Panel{
		{
			ID: "processes", Kind: Stat, Unit: Count, Title: english("Processes"), Thresholds: []Threshold{{Level: Critical, Value: 1, Below: true}},
			Description: english("Processes of Lari that are scraped."), Queries: []Query{{ID: "n", PromQL: "count(lari_http_requests_in_flight)"}},
		},
		{
			ID: "rate", Kind: Stat, Unit: RequestsPerSecond, Title: english("Requests"),
			Description: english("Requests answered per second."), Queries: []Query{{ID: "n", PromQL: perSecond(routes+"_count", nil)}},
		},
		{
			ID: "errors", Kind: Stat, Unit: Share, Title: english("Errors"), Thresholds: errorShares(),
			Description: english("Share of requests answered with a 5xx status."), Queries: []Query{{ID: "n", PromQL: share(routes+"_count", nil, failedHTTP)}},
		},
		{
			ID: "active", Kind: Stat, Unit: Count, Title: english("Active runs"),
			Description: english("Runs that have started and not ended."), Queries: []Query{{ID: "n", PromQL: "sum(" + activeRuns + ")"}},
		},
		{
			ID: "held", Kind: Stat, Unit: Count, Title: english("Held runs"),
			Description: english("Runs that are accepted and held back, whatever holds them."), Queries: []Query{{ID: "n", PromQL: "sum(max by (reason) (lari_runs_held))"}},
		},
		{
			ID: "failed", Kind: Stat, Unit: Share, Title: english("Failed runs"), Thresholds: shares(0.05, 0.2),
			Description: english("Share of the runs that ended which failed or ran out of time."), Queries: []Query{{ID: "n", PromQL: share(runsFinished, nil, failedRuns)}},
		},
		{
			ID: "wait", Kind: Stat, Unit: Seconds, Title: english("Queue wait p95"), Thresholds: shares(5, 60),
			Description: english("From the creation of a run to its start: 95 % waited no longer."), Queries: []Query{{ID: "n", PromQL: quantile("0.95", queueWait, nil)}},
		},
		{
			ID: "first", Kind: Stat, Unit: Seconds, Title: english("First token p95"), Thresholds: shares(3, 10),
			Description: english("From the creation of a run to the first text of its answer."), Queries: []Query{{ID: "n", PromQL: quantile("0.95", firstToken, nil)}},
		},
		{
			ID: "backlog", Kind: Stat, Unit: Seconds, Title: english("Oldest delivery"), Thresholds: shares(60, 900),
			Description: english("Age of the oldest event that a webhook has not been told yet."), Queries: []Query{{ID: "n", PromQL: "max(lari_deliveries_oldest_pending_seconds)"}},
		},
		{
			ID: "disabled", Kind: Stat, Unit: Count, Title: english("Disabled webhooks"), Thresholds: []Threshold{{Level: Warning, Value: 1}},
			Description: english("Receivers that are told nothing any more."), Queries: []Query{{ID: "n", PromQL: "max(lari_webhook_endpoints_disabled)"}},
		},
		{
			ID: "cost", Kind: Stat, Unit: USD, Title: english("Cost in 24 hours"),
			Description: english("Price of the tokens, as far as the models have a price."), Queries: []Query{{ID: "n", Instant: true, PromQL: inDay(costTotal, nil)}},
		},
		{
			ID: "slots", Kind: Stat, Unit: Share, Title: english("Fullest worker"), Thresholds: shares(0.8, 0.95),
			Description: english("Share of task slots in use, of the fullest kind of slots on any task queue."), Queries: []Query{{ID: "n", PromQL: "max(" + slotsUsed() + ")"}},
		},
	}
}

func routePanels() []Panel {
	return []Panel{
		{
			ID: "route_rate", Kind: Timeseries, Unit: RequestsPerSecond, Width: 8, Title: english("Rate"),
			Description: english("Requests per second of the fifteen busiest routes, of all tenants together."),
			Queries:     []Query{{ID: "n", Legend: "{{method}} {{route}}", PromQL: top(15, perSecond(routes+"_count", nil, "method", "route"))}},
		},
		{
			ID: "route_errors", Kind: Timeseries, Unit: Share, Width: 8, Title: english("Errors"), Thresholds: errorShares(),
			Description: english("Share of requests answered with a 5xx status, of routes that had any."),
			Queries:     []Query{{ID: "n", Legend: "{{method}} {{route}}", PromQL: top(15, share(routes+"_count", nil, failedHTTP, "method", "route"))}},
		},
		{
			ID: "route_p95", Kind: Timeseries, Unit: Seconds, Width: 8, Title: english("Duration p95"),
			Description: english("To the end of the answer; a stream's until it is closed. The fifteen slowest routes."),
			Queries:     []Query{{ID: "n", Legend: "{{method}} {{route}}", PromQL: top(15, quantile("0.95", routes, nil, "method", "route"))}},
		},
		{
			ID: "status", Kind: Timeseries, Unit: RequestsPerSecond, Stacked: true, Width: 8, Title: english("Requests by status"),
			Description: english("Requests per second by status."),
			Queries:     []Query{{ID: "n", Legend: "{{status}}", PromQL: perSecond(routes+"_count", nil, "status")}},
		},
		{
			ID: "latency", Kind: Timeseries, Unit: Seconds, Width: 8, Title: english("Duration of all requests"),
			Description: english("Half, 95 % and 99 % of all requests took no longer."), Queries: percentiles(routes, nil, nil),
		},
		{
			ID: "in_flight", Kind: Timeseries, Unit: Count, Width: 8, Title: english("Requests in flight"),
			Description: english("Requests being answered now, by process; a stream until its first byte."),
			Queries:     []Query{{ID: "n", Legend: "{{instance}}", PromQL: "sum by (instance) (lari_http_requests_in_flight)"}},
		},
		{
			ID: "route_table", Kind: Table, Unit: Seconds, Width: 24, Title: english("Routes"),
			Description: english("Rate, errors and duration of every route."),
			Queries: []Query{
				{ID: "rate", Legend: "rate", Unit: RequestsPerSecond, PromQL: perSecond(routes+"_count", nil, "method", "route")},
				{ID: "errors", Legend: "errors", Unit: Share, PromQL: share(routes+"_count", nil, failedHTTP, "method", "route")},
				{ID: "p50", Legend: "p50", PromQL: quantile("0.5", routes, nil, "method", "route")},
				{ID: "p95", Legend: "p95", PromQL: quantile("0.95", routes, nil, "method", "route")},
				{ID: "p99", Legend: "p99", PromQL: quantile("0.99", routes, nil, "method", "route")},
			},
		},
	}
}

func overviewRuns() []Panel {
	return []Panel{
		{
			ID: "runs_by_status", Kind: Timeseries, Unit: RunsPerHour, Stacked: true, Width: 8, Title: english("Runs by status"),
			Description: english("Runs that ended per hour, by how they ended."),
			Queries:     []Query{{ID: "n", Legend: "{{status}}", PromQL: perHour(runsFinished, nil, "status")}},
		},
		{
			ID: "queue_wait", Kind: Timeseries, Unit: Seconds, Width: 8, Title: english("Queue wait"), Thresholds: shares(5, 60),
			Description: english("From the creation of a run to its start, holds included."), Queries: percentiles(queueWait, nil, nil),
		},
		{
			ID: "held_by_reason", Kind: Timeseries, Unit: Count, Stacked: true, Width: 8, Title: english("Held runs by reason"),
			Description: english("Runs that are accepted and held back, by what holds them."),
			Queries:     []Query{{ID: "n", Legend: "{{reason}}", PromQL: "max by (reason) (lari_runs_held)"}},
		},
	}
}

func topTenants() []Panel {
	toTenant := []Link{ToTenant}
	return []Panel{
		{
			ID: "top_requests", Kind: Timeseries, Unit: RequestsPerSecond, Links: toTenant, Title: english("Busiest tenants"),
			Description: english("Requests per second. _other is the tenants without a label, _none the callers that were not recognised."),
			Queries:     []Query{{ID: "n", Legend: "{{tenant_id}}", PromQL: top(10, perSecond(requests+"_count", []string{anyTenant}, "tenant_id"))}},
		},
		{
			ID: "top_errors", Kind: Timeseries, Unit: Share, Links: toTenant, Title: english("Tenants with errors"), Thresholds: errorShares(),
			Description: english("Share of a tenant's requests answered with a 5xx status."),
			Queries:     []Query{{ID: "n", Legend: "{{tenant_id}}", PromQL: top(10, share(requests+"_count", []string{anyTenant}, failedHTTP, "tenant_id"))}},
		},
		{
			ID: "top_failed", Kind: Timeseries, Unit: Share, Links: toTenant, Title: english("Tenants with failed runs"), Thresholds: shares(0.05, 0.2),
			Description: english("Share of a tenant's runs that failed or ran out of time."),
			Queries:     []Query{{ID: "n", Legend: "{{tenant_id}}", PromQL: top(10, share(runsFinished, []string{anyTenant}, failedRuns, "tenant_id"))}},
		},
		{
			ID: "top_quotas", Kind: Timeseries, Unit: Share, Links: toTenant, Title: english("Fullest quotas"), Thresholds: shares(0.8, 0.95),
			Description: english("What tenants have used of their quotas: at 1 they are refused."),
			Queries: []Query{{
				ID: "n", Legend: "{{tenant_id}} {{quota}}",
				PromQL: top(10, largest(quotaUsed, anyTenant, "tenant_id", "quota")+" / "+largest(quotaLimit, anyTenant, "tenant_id", "quota")),
			}},
		},
	}
}
