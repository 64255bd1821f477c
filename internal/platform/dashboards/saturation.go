package dashboards

const (
	connectionsOf = "lari_postgres_pool_connections"
	acquires      = "lari_postgres_pool_acquires_total"
	eventBatch    = "lari_event_append_batch_size"
	eventAppend   = "lari_event_append_duration_seconds"
	auditBatch    = "lari_audit_append_batch_size"
	auditAppend   = "lari_audit_append_duration_seconds"
)

func poolPanels() []Panel {
	return []Panel{
		{
			ID: "pool_used", Kind: Timeseries, Unit: Share, Width: 8, Title: english("Postgres pool in use"), Thresholds: shares(0.8, 0.95),
			Description: english("Share of the connections a process may open that are handed out."),
			Queries: []Query{{
				ID: "n", Legend: "{{instance}} {{pool}}",
				PromQL: "sum by (instance, pool) (" + selector(connectionsOf, `state="acquired"`) + ") / sum by (instance, pool) (lari_postgres_pool_max_connections)",
			}},
		},
		{
			ID: "pool_wait", Kind: Timeseries, Unit: Share, Width: 8, Title: english("Waiting for a connection"), Thresholds: shares(0.05, 0.25),
			Description: english("Share of acquires that had to wait, and of those that were given up."),
			Queries: []Query{
				{ID: "waited", Legend: "waited {{pool}}", PromQL: perSecond("lari_postgres_pool_waited_acquires_total", nil, "pool") + " / " + perSecond(acquires, nil, "pool")},
				{ID: "given_up", Legend: "given up {{pool}}", PromQL: perSecond("lari_postgres_pool_cancelled_acquires_total", nil, "pool") + " / " + perSecond(acquires, nil, "pool")},
			},
		},
		{
			ID: "pool_wait_time", Kind: Timeseries, Unit: Seconds, Width: 8, Title: english("Mean wait for a connection"),
			Description: english("Time spent waiting, by acquire."),
			Queries:     []Query{{ID: "n", Legend: "{{pool}}", PromQL: perSecond("lari_postgres_pool_acquire_wait_seconds_total", nil, "pool") + " / " + perSecond(acquires, nil, "pool")}},
		},
		{
			ID: "pool_connections", Kind: Timeseries, Unit: Count, Stacked: true, Width: 8, Title: english("Postgres connections"),
			Description: english("Connections of all processes by state."),
			Queries:     []Query{{ID: "n", Legend: "{{pool}} {{state}}", PromQL: "sum by (pool, state) (" + connectionsOf + ")"}},
		},
		{
			ID: "pool_churn", Kind: Timeseries, Unit: PerSecond, Width: 8, Title: english("Connections opened and closed"),
			Description: english("Per second. Much of it under an even load means that the pool is too small or connections break."),
			Queries: []Query{
				{ID: "opened", Legend: "opened {{pool}}", PromQL: perSecond("lari_postgres_pool_opened_connections_total", nil, "pool")},
				{ID: "retired", Legend: "closed {{pool}} {{reason}}", PromQL: perSecond("lari_postgres_pool_retired_connections_total", nil, "pool", "reason")},
			},
		},
		slotsPanel(8),
	}
}

func processPanels() []Panel {
	instance := "{{instance}}"
	return []Panel{
		{
			ID: "cpu", Kind: Timeseries, Unit: Count, Width: 6, Title: english("Processors in use"),
			Description: english("Seconds of processor time per second."),
			Queries:     []Query{{ID: "n", Legend: instance, PromQL: ours("rate(process_cpu_seconds_total[$__rate_interval])")}},
		},
		{
			ID: "memory", Kind: Timeseries, Unit: Bytes, Width: 6, Title: english("Memory"),
			Description: english("Resident memory, and what the Go heap holds of it."),
			Queries: []Query{
				{ID: "resident", Legend: "resident " + instance, PromQL: ours("process_resident_memory_bytes")},
				{ID: "heap", Legend: "heap " + instance, PromQL: ours("go_memstats_heap_inuse_bytes")},
			},
		},
		{
			ID: "goroutines", Kind: Timeseries, Unit: Count, Width: 6, Title: english("Goroutines"),
			Description: english("A number that only grows is a leak."),
			Queries:     []Query{{ID: "n", Legend: instance, PromQL: ours("go_goroutines")}},
		},
		{
			ID: "files", Kind: Timeseries, Unit: Share, Width: 6, Title: english("Open files"), Thresholds: shares(0.7, 0.9),
			Description: english("Share of the file descriptors a process may have; each stream is one."),
			Queries:     []Query{{ID: "n", Legend: instance, PromQL: ours("process_open_fds / process_max_fds")}},
		},
	}
}

func logPanels() []Panel {
	return []Panel{
		{
			ID: "append_duration", Kind: Timeseries, Unit: Seconds, Width: 6, Title: english("Appending to the event log"),
			Description: english("Time of a transaction that appends to the log: every stream is as late as this."), Queries: percentiles(eventAppend, nil, nil),
		},
		{
			ID: "append_rate", Kind: Timeseries, Unit: EventsPerSecond, Width: 6, Title: english("Events and audit entries"),
			Description: english("Appended per second."),
			Queries: []Query{
				{ID: "events", Legend: "events", PromQL: perSecond(eventBatch+"_sum", nil)},
				{ID: "entries", Legend: "audit entries", PromQL: perSecond(auditBatch+"_sum", nil)},
			},
		},
		{
			ID: "audit_duration", Kind: Timeseries, Unit: Seconds, Width: 6, Title: english("Appending to the audit trail"),
			Description: english("Time of a transaction that appends to audit trails."), Queries: percentiles(auditAppend, nil, nil),
		},
		{
			ID: "audit_lost", Kind: Stat, Unit: Count, Width: 6, Title: english("Audit entries lost in 24 hours"), Thresholds: []Threshold{{Level: Critical, Value: 1}},
			Description: english("Entries that could not be kept; the log holds them. Anything above zero needs a look."),
			Queries:     []Query{{ID: "n", Instant: true, PromQL: inDay("lari_audit_entries_lost_total", nil)}},
		},
	}
}
