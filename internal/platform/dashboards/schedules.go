package dashboards

func schedulePanels() []Panel {
	const firings, lag = "lari_schedule_firings_total", "lari_schedule_firing_lag_seconds"
	tenants := []string{anyTenant}
	return []Panel{
		{
			ID: "schedules", Kind: Timeseries, Unit: Count, Stacked: true, Width: 6, Title: english("Schedules"),
			Description: english("By state, as they were last seen."),
			Queries:     []Query{{ID: "n", Legend: "{{state}}", PromQL: "sum by (state) (max by (tenant_id, state) (" + selector("lari_schedules", tenants...) + "))"}},
		},
		{
			ID: "firings", Kind: Timeseries, Unit: RunsPerHour, Stacked: true, Width: 6, Title: english("Firings by outcome"),
			Description: english("Per hour. Skipped: a run went on; missed: the platform was away."),
			Queries:     []Query{{ID: "n", Legend: "{{outcome}}", PromQL: perHour(firings, tenants, "outcome")}},
		},
		{
			ID: "refused_firings", Kind: Timeseries, Unit: RunsPerHour, Width: 6, Title: english("Refused firings"),
			Description: english("Per hour, by the code of the refusal."),
			Queries:     []Query{{ID: "n", Legend: "{{reason}}", PromQL: perHour(firings, with(tenants, `outcome="refused"`), "reason")}},
		},
		{
			ID: "firing_lag", Kind: Timeseries, Unit: Seconds, Width: 6, Title: english("Lag of firings"), Thresholds: shares(60, 900),
			Description: english("From a firing's time in the schedule to the acceptance of its run; jitter and waiting for an earlier run included."), Queries: percentiles(lag, tenants, nil),
		},
	}
}
