package dashboards

func connectors() Dashboard {
	const attempts, lag = "lari_connector_attempts_total", "lari_connector_lag_seconds"
	failed := `outcome="failed"`
	return Dashboard{
		UID: "lari-connectors", File: "connectors", Title: "Lari / Connectors",
		Description: "Whether other systems are told of runs, and how late. Metrics of connectors carry no tenant.",
		Rows: []Row{
			{"Backlog", []Panel{
				{
					ID: "pending", Kind: Timeseries, Unit: Count, Width: 8, Title: english("Deliveries pending"),
					Description: english("Events that a remote connector has not been told yet."), Queries: []Query{{ID: "n", Legend: "pending", PromQL: "max(lari_deliveries_pending)"}},
				},
				{
					ID: "oldest", Kind: Timeseries, Unit: Seconds, Width: 8, Title: english("Oldest delivery"), Thresholds: shares(60, 900),
					Description: english("Age of the oldest event that is still tried. One receiver that is away is enough for a high one."),
					Queries:     []Query{{ID: "n", Legend: "oldest", PromQL: "max(lari_deliveries_oldest_pending_seconds)"}},
				},
				{
					ID: "disabled", Kind: Stat, Unit: Count, Width: 8, Title: english("Disabled webhooks"), Thresholds: []Threshold{{Level: Warning, Value: 1}},
					Description: english("Receivers that are told nothing, because they failed for long or were disabled by hand."),
					Queries:     []Query{{ID: "n", PromQL: "max(lari_webhook_endpoints_disabled)"}},
				},
			}},
			{"Attempts", []Panel{
				{
					ID: "rate", Kind: Timeseries, Unit: PerSecond, Width: 8, Title: english("Attempts by outcome"), Stacked: true,
					Description: english("Attempts per second to hand over an event."),
					Queries:     []Query{{ID: "n", Legend: "{{connector}} {{outcome}}", PromQL: perSecond(attempts, nil, "connector", "outcome")}},
				},
				{
					ID: "failed", Kind: Timeseries, Unit: Share, Width: 8, Title: english("Failed attempts"), Thresholds: shares(0.05, 0.25),
					Description: english("Share of attempts that failed, of connectors of which any did; they are tried again."),
					Queries:     []Query{{ID: "n", Legend: "{{connector}}", PromQL: share(attempts, nil, failed, "connector")}},
				},
				{
					ID: "hooks", Kind: Timeseries, Unit: PerSecond, Width: 8, Title: english("Attempts by hook"), Stacked: true,
					Description: english("Which part of a run's life is told."),
					Queries:     []Query{{ID: "n", Legend: "{{connector}} {{hook}}", PromQL: perSecond(attempts, nil, "connector", "hook")}},
				},
			}},
			{"Lag", []Panel{
				{
					ID: "webhook_lag", Kind: Timeseries, Unit: Seconds, Title: english("Lag of webhooks"), Thresholds: shares(10, 60),
					Description: english("From an event to its delivery, attempts that failed included."), Queries: percentiles(lag, []string{`connector=~"endpoints|alerts|webhook"`}, nil),
				},
				{
					ID: "lag", Kind: Timeseries, Unit: Seconds, Title: english("Lag p95 by connector"),
					Description: english("From an event to its delivery."),
					Queries:     []Query{{ID: "n", Legend: "{{connector}}", PromQL: quantile("0.95", lag, nil, "connector")}},
				},
			}},
			{"Saturation", []Panel{
				{
					ID: "slots", Kind: Timeseries, Unit: Share, Title: english("Task slots for connectors in use"), Thresholds: shares(0.8, 0.95),
					Description: english("Of the workers on the task queue connectors, by kind of slot."),
					Queries:     []Query{{ID: "n", Legend: "{{instance}} {{worker_type}}", PromQL: slotsUsed(anyNamespace, `task_queue="connectors"`)}},
				},
				{
					ID: "late", Kind: Timeseries, Unit: RunsPerHour, Title: english("Ends told late"),
					Description: english("Ends of runs per hour that connectors were told after a crash."),
					Queries:     []Query{{ID: "n", Legend: "told late", PromQL: perHour("lari_reconciler_announced_total", nil)}},
				},
			}},
		},
	}
}
