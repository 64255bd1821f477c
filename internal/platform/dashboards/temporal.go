package dashboards

import "fmt"

// slotsUsed is the share of a worker's task slots in use. A kind of slots without any is left out.
func slotsUsed(matchers ...string) string {
	const sum = "sum by (instance, task_queue, worker_type) (%s)"
	used := fmt.Sprintf(sum, selector("temporal_worker_task_slots_used", matchers...))
	available := fmt.Sprintf(sum, selector("temporal_worker_task_slots_available", matchers...))
	return fmt.Sprintf("%s / ((%s + %s) > 0)", used, used, available)
}

func slotsPanel(width int) Panel {
	return Panel{
		ID: "slots_used", Kind: Timeseries, Unit: Share, Width: width, Title: english("Task slots in use"), Thresholds: shares(0.8, 0.95),
		Description: english("Of each worker, by task queue and kind of slot. At 1 tasks wait in Temporal."),
		Queries:     []Query{{ID: "n", Legend: "{{instance}} {{task_queue}} {{worker_type}}", PromQL: slotsUsed(anyNamespace)}},
	}
}

func temporal() Dashboard {
	return Dashboard{
		UID: "lari-temporal", File: "temporal", Title: "Lari / Temporal",
		Description: "The workers and their connection to Temporal, as its SDK measures them.",
		Rows: []Row{
			{"Workers: use, saturation", workerPanels()},
			{"Task queues", queueRow()},
			{"Workflow tasks", workflowPanels()},
			{"Activities", activityPanels()},
			{"Requests to Temporal: rate, errors, duration", rpcPanels()},
		},
	}
}

func workerPanels() []Panel {
	spaces := []string{anyNamespace}
	return []Panel{
		slotsPanel(8),
		{
			ID: "pollers", Kind: Timeseries, Unit: Count, Width: 8, Title: english("Pollers"),
			Description: english("By task queue and kind. None: nobody takes the queue's tasks."),
			Queries:     []Query{{ID: "n", Legend: "{{task_queue}} {{poller_type}}", PromQL: "sum by (task_queue, poller_type) (" + selector("temporal_num_pollers", spaces...) + ")"}},
		},
		{
			ID: "sticky", Kind: Timeseries, Unit: Count, Width: 8, Title: english("Workflows in the cache"),
			Description: english("Executions that workers keep in memory, and how many a second had to go for want of room."),
			Queries: []Query{
				{ID: "size", Legend: "{{instance}}", PromQL: "sum by (instance) (" + selector("temporal_sticky_cache_size", spaces...) + ")"},
				{ID: "evicted", Legend: "evicted {{instance}}", Unit: PerSecond, PromQL: perSecond("temporal_sticky_cache_total_forced_eviction_total", spaces, "instance")},
			},
		},
	}
}

func workflowPanels() []Panel {
	spaces := []string{anyNamespace}
	return []Panel{
		{
			ID: "workflow_wait", Kind: Timeseries, Unit: Seconds, Width: 8, Title: english("Schedule to start p95"), Thresholds: shares(0.5, 5),
			Description: english("How long workflow tasks waited for a worker. It grows when there are too few workers."),
			Queries:     []Query{{ID: "n", Legend: "{{task_queue}}", PromQL: quantile("0.95", "temporal_workflow_task_schedule_to_start_latency_seconds", spaces, "task_queue")}},
		},
		{
			ID: "workflow_execution", Kind: Timeseries, Unit: Seconds, Width: 8, Title: english("Execution p95"),
			Description: english("Time of a workflow task, and of the replay in it."),
			Queries: []Query{
				{ID: "execution", Legend: "{{workflow_type}}", PromQL: quantile("0.95", "temporal_workflow_task_execution_latency_seconds", spaces, "workflow_type")},
				{ID: "replay", Legend: "replay {{workflow_type}}", PromQL: quantile("0.95", "temporal_workflow_task_replay_latency_seconds", spaces, "workflow_type")},
			},
		},
		{
			ID: "workflow_end", Kind: Timeseries, Unit: RunsPerHour, Width: 8, Title: english("Workflows completed"),
			Description: english("Per hour, by type. How runs ended is told by their status: the workflow of a failed run completes."),
			Queries:     []Query{{ID: "n", Legend: "{{workflow_type}}", PromQL: perHour("temporal_workflow_completed_total", spaces, "workflow_type")}},
		},
		{
			ID: "sticky_hits", Kind: Timeseries, Unit: PerSecond, Width: 12, Title: english("Tasks served from the cache"),
			Description: english("Workflow tasks per second that needed no replay, beside all that were taken."),
			Queries: []Query{
				{ID: "hits", Legend: "from the cache", PromQL: perSecond("temporal_sticky_cache_hit_total", spaces)},
				{ID: "all", Legend: "all", PromQL: perSecond("temporal_workflow_task_queue_poll_succeed_total", spaces)},
			},
		},
		{
			ID: "endtoend", Kind: Timeseries, Unit: Seconds, Width: 12, Title: english("Workflows end to end p95"),
			Description: english("From the start of an execution to its end."),
			Queries:     []Query{{ID: "n", Legend: "{{workflow_type}}", PromQL: quantile("0.95", "temporal_workflow_endtoend_latency_seconds", spaces, "workflow_type")}},
		},
	}
}

func activityPanels() []Panel {
	spaces := []string{anyNamespace}
	return []Panel{
		{
			ID: "activity_rate", Kind: Timeseries, Unit: PerSecond, Width: 8, Title: english("Attempts"),
			Description: english("Attempts of activities per second, by type."),
			Queries: []Query{
				{ID: "activities", Legend: "{{activity_type}}", PromQL: perSecond("temporal_activity_execution_latency_seconds_count", spaces, "activity_type")},
				{ID: "local", Legend: "{{activity_type}} (local)", PromQL: perSecond("temporal_local_activity_total", spaces, "activity_type")},
			},
		},
		{
			ID: "activity_failures", Kind: Timeseries, Unit: PerSecond, Width: 8, Title: english("Failed attempts"),
			Description: english("Attempts per second that failed, by type; most are tried again."),
			Queries:     []Query{{ID: "n", Legend: "{{activity_type}}", PromQL: perSecond("temporal_activity_execution_failed_total", spaces, "activity_type")}},
		},
		{
			ID: "activity_duration", Kind: Timeseries, Unit: Seconds, Width: 8, Title: english("Duration p95"),
			Description: english("Time of an attempt, by type."),
			Queries: []Query{
				{ID: "activities", Legend: "{{activity_type}}", PromQL: quantile("0.95", "temporal_activity_execution_latency_seconds", spaces, "activity_type")},
				{ID: "local", Legend: "{{activity_type}} (local)", PromQL: quantile("0.95", "temporal_local_activity_execution_latency_seconds", spaces, "activity_type")},
			},
		},
		{
			ID: "activity_wait", Kind: Timeseries, Unit: Seconds, Width: 12, Title: english("Schedule to start p95"), Thresholds: shares(0.5, 5),
			Description: english("How long activity tasks waited for a worker; those that the worker began itself do not wait."),
			Queries:     []Query{{ID: "n", Legend: "{{task_queue}}", PromQL: quantile("0.95", "temporal_activity_schedule_to_start_latency_seconds", spaces, "task_queue")}},
		},
		{
			ID: "activity_endtoend", Kind: Timeseries, Unit: Seconds, Width: 12, Title: english("End to end p95"),
			Description: english("From the schedule of an activity to its success, retries included."),
			Queries:     []Query{{ID: "n", Legend: "{{activity_type}}", PromQL: quantile("0.95", "temporal_activity_succeed_endtoend_latency_seconds", spaces, "activity_type")}},
		},
	}
}

func rpcPanels() []Panel {
	return []Panel{
		{
			ID: "rpc_rate", Kind: Timeseries, Unit: RequestsPerSecond, Width: 8, Title: english("Requests"),
			Description: english("Requests per second, by operation; long polls are not among them."),
			Queries:     []Query{{ID: "n", Legend: "{{operation}}", PromQL: perSecond("temporal_request_total", nil, "operation")}},
		},
		{
			ID: "rpc_failures", Kind: Timeseries, Unit: RequestsPerSecond, Width: 8, Title: english("Failed requests"),
			Description: english("Per second, by operation. NotFound is what asking for an execution that is gone gives."),
			Queries:     []Query{{ID: "n", Legend: "{{operation}}", PromQL: perSecond("temporal_request_failure_total", nil, "operation")}},
		},
		{
			ID: "rpc_duration", Kind: Timeseries, Unit: Seconds, Width: 8, Title: english("Duration p95"),
			Description: english("Of a request, by operation: how far away Temporal is."),
			Queries:     []Query{{ID: "n", Legend: "{{operation}}", PromQL: quantile("0.95", "temporal_request_latency_seconds", nil, "operation")}},
		},
	}
}
