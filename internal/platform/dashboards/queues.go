package dashboards

// backlogPanels are what waits to begin, in Postgres and in Temporal.
func backlogPanels() []Panel {
	return append([]Panel{
		{
			ID: "queued", Kind: Timeseries, Unit: Count, Width: 6, Title: english("Runs that wait to begin"),
			Description: english("Runs of all tenants that may begin and have not; held ones are not among them."),
			Queries:     []Query{{ID: "n", Legend: "queued", PromQL: "max(lari_runs_queued)"}},
		},
		{
			ID: "oldest_queued", Kind: Timeseries, Unit: Seconds, Width: 6, Title: english("Oldest of them"), Thresholds: shares(30, 300),
			Description: english("How long the first of them could have begun. It grows when nothing executes runs."),
			Queries:     []Query{{ID: "n", Legend: "oldest", PromQL: "max(lari_runs_oldest_queued_seconds)"}},
		},
	}, taskQueuePanels(6)...)
}

// taskQueuePanels are what Temporal says of the task queues.
func taskQueuePanels(width int) []Panel {
	return []Panel{
		{
			ID: "queue_backlog", Kind: Timeseries, Unit: Count, Width: width, Title: english("Backlog of task queues"),
			Description: english("Tasks that wait for a worker, about, as Temporal knows it."),
			Queries:     []Query{{ID: "n", Legend: "{{task_queue}}", PromQL: "max by (task_queue) (lari_task_queue_backlog)"}},
		},
		{
			ID: "queue_oldest", Kind: Timeseries, Unit: Seconds, Width: width, Title: english("Oldest task"), Thresholds: shares(30, 300),
			Description: english("How long the oldest of these tasks has waited, about."),
			Queries:     []Query{{ID: "n", Legend: "{{task_queue}}", PromQL: "max by (task_queue) (lari_task_queue_oldest_wait_seconds)"}},
		},
	}
}

func queueRow() []Panel {
	return append(taskQueuePanels(8), Panel{
		ID: "queue_workers", Kind: Timeseries, Unit: Count, Width: 8, Title: english("Workers of task queues"),
		Description: english("Worker processes that asked for tasks within the last 70 seconds. None: nothing of the queue is done."),
		Queries:     []Query{{ID: "n", Legend: "{{task_queue}}", PromQL: "max by (task_queue) (lari_task_queue_workers)"}},
	})
}
