package dashboards

func streams() Dashboard {
	const delivered, replayed = "lari_stream_events_delivered_total", "lari_stream_events_replayed_total"
	streaming := []string{`route=~".*/stream"`}
	return Dashboard{
		UID: "lari-streams", File: "streams", Title: "Lari / Streams",
		Description: "Clients that follow runs: how many, what they are sent, and how much of it is read from the log again.",
		Rows: []Row{
			{"Clients", []Panel{
				{
					ID: "open", Kind: Timeseries, Unit: Count, Stacked: true, Width: 6, Title: english("Open streams"),
					Description: english("Clients that follow a run now, by process."),
					Queries:     []Query{{ID: "n", Legend: "{{instance}} {{transport}}", PromQL: "sum by (instance, transport) (lari_streams_open)"}},
				},
				{
					ID: "behind", Kind: Timeseries, Unit: Count, Width: 6, Title: english("Streams behind"),
					Description: english("Clients that have not been sent all that there is, and the events that they lack. A few for a moment are normal; many that stay are slow networks, or a process that cannot keep up."),
					Queries: []Query{
						{ID: "clients", Legend: "clients {{instance}}", PromQL: "sum by (instance) (lari_streams_behind)"},
						{ID: "events", Legend: "events {{instance}}", PromQL: "sum by (instance) (lari_stream_events_behind)"},
					},
				},
				{
					ID: "joined", Kind: Timeseries, Unit: PerSecond, Stacked: true, Width: 6, Title: english("Streams that ended"),
					Description: english("Per second, by route and status. Many short ones are clients that connect again and again."),
					Queries:     []Query{{ID: "n", Legend: "{{method}} {{route}} {{status}}", PromQL: perSecond(routes+"_count", streaming, "method", "route", "status")}},
				},
				{
					ID: "length", Kind: Timeseries, Unit: Seconds, Width: 6, Title: english("How long streams stay open"),
					Description: english("Until the run ends or the client leaves; what is above ten seconds is shown as ten."), Queries: percentiles(routes, streaming, nil),
				},
			}},
			{"Events", []Panel{
				{
					ID: "delivered", Kind: Timeseries, Unit: EventsPerSecond, Stacked: true, Width: 8, Title: english("Events delivered"),
					Description: english("Events written to clients per second, replayed ones included."),
					Queries:     []Query{{ID: "n", Legend: "{{transport}}", PromQL: perSecond(delivered, nil, "transport")}},
				},
				{
					ID: "replayed", Kind: Timeseries, Unit: EventsPerSecond, Stacked: true, Width: 8, Title: english("Events replayed"),
					Description: english("Events read from the log for clients that joined or had fallen behind, per second."),
					Queries:     []Query{{ID: "n", Legend: "{{transport}}", PromQL: perSecond(replayed, nil, "transport")}},
				},
				{
					ID: "replay_share", Kind: Timeseries, Unit: Share, Width: 8, Title: english("Share of replayed events"),
					Description: english("Near 1 under load: clients are slow, or join late, and every one of them reads the log."),
					Queries:     []Query{{ID: "n", Legend: "{{transport}}", PromQL: perSecond(replayed, nil, "transport") + " / " + perSecond(delivered, nil, "transport")}},
				},
			}},
			{"Where events come from", []Panel{
				{
					ID: "appended", Kind: Timeseries, Unit: EventsPerSecond, Width: 6, Title: english("Events appended"),
					Description: english("Per second, of all runs."), Queries: []Query{{ID: "n", Legend: "events", PromQL: perSecond(eventBatch+"_sum", nil)}},
				},
				{
					ID: "batch", Kind: Timeseries, Unit: Count, Width: 6, Title: english("Events in a transaction"),
					Description: english("Mean. It grows with the load: that is what keeps the log fast."), Queries: []Query{{ID: "n", Legend: "events", PromQL: mean(eventBatch, nil)}},
				},
				{
					ID: "append", Kind: Timeseries, Unit: Seconds, Width: 6, Title: english("Appending"),
					Description: english("Time of a transaction that appends to the log."), Queries: percentiles(eventAppend, nil, nil),
				},
				{
					ID: "first_token", Kind: Timeseries, Unit: Seconds, Width: 6, Title: english("Time to first token"), Thresholds: shares(3, 10),
					Description: english("What whoever watches waits for."), Queries: percentiles(firstToken, []string{anyTenant}, nil),
				},
			}},
		},
	}
}
