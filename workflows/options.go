package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The options of every activity and local activity are made in this file, each with both limits. A missing limit
// is not "none": the SDK gives a local activity without ScheduleToCloseTimeout that of one try for all tries
// together. StartToCloseTimeout bounds one try, ScheduleToCloseTimeout all of them with the pauses between.

const (
	// heartbeatTimeout is how long a dead worker goes unnoticed.
	heartbeatTimeout = 10 * time.Second
	// grace is what the server leaves an activity beyond the run's time limit, to record where it stood.
	grace = 10 * time.Second

	// recordHorizon is how long a record is tried: a database that is away over a long weekend ends no run. It
	// is bounded by the history, which grows by six events with each try that waits at the server: with one a
	// minute to half of the 51,200 events at which Temporal terminates a workflow.
	recordHorizon = 72 * time.Hour
	// recordInterval is the longest pause between two tries of a record. It is longer than a workflow task may
	// take (10 s): the SDK waits for shorter ones inside of the task, which it then has to keep alive with three
	// events every eight seconds, and for longer ones with a timer of the server.
	recordInterval = time.Minute

	// deliveryHorizon is how long a receiver may be away before a delivery is given up.
	deliveryHorizon = 72 * time.Hour
	// firingHorizon is how long a firing waits for its run to be accepted: while Postgres is away, or new runs are
	// held. One that is a week late is of no use to anybody.
	firingHorizon = 7 * 24 * time.Hour
	// deletionHorizon is how long one slice of a deletion is tried: one that stops half-way is worse than a late one.
	deletionHorizon = 30 * 24 * time.Hour
	// passHorizon is how long one pass of the reconciler is tried. It is short on purpose: the next one begins where
	// the last one that succeeded stopped, and does not start before this one has ended.
	passHorizon = 5 * time.Minute
)

// recordOptions returns those of a local activity that records: one short transaction, tried until it is written.
// While Postgres is away the run waits for it.
func recordOptions(summary string) workflow.LocalActivityOptions {
	return workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: recordHorizon,
		StartToCloseTimeout:    10 * time.Second,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: recordInterval},
	}
}

// stepOptions returns those of a run's own work, a model's turn or a tool's call. left is what remains of the run's
// time limit, which bounds one try as it bounds all: a worker that dies is noticed by its missing heartbeats.
func stepOptions(left time.Duration, summary string) workflow.ActivityOptions {
	limit := max(left, 0) + grace
	return workflow.ActivityOptions{
		ScheduleToCloseTimeout: limit,
		StartToCloseTimeout:    limit,
		HeartbeatTimeout:       heartbeatTimeout,
		WaitForCancellation:    true, // what was said and billed is recorded before the run ends
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second},
	}
}

// deliveryOptions returns those of a delivery and of its end.
func deliveryOptions(summary string) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		ScheduleToCloseTimeout: deliveryHorizon,
		StartToCloseTimeout:    30 * time.Second,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Hour},
	}
}

// firingOptions returns those of the activity that accepts the run of a firing.
func firingOptions(nominal time.Time) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		ScheduleToCloseTimeout: firingHorizon,
		StartToCloseTimeout:    20 * time.Second,
		WaitForCancellation:    true, // it may be about to accept the run
		Summary:                nominal.UTC().Format(time.RFC3339),
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second},
	}
}

// stopFiringOptions returns those of the activity that stops the run of a firing.
func stopFiringOptions() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		ScheduleToCloseTimeout: firingHorizon,
		StartToCloseTimeout:    20 * time.Second,
		Summary:                "stop",
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second},
	}
}

// deletionOptions returns those of one slice of a tenant's deletion, whose last batch may meet a slow disk.
func deletionOptions() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		ScheduleToCloseTimeout: deletionHorizon,
		StartToCloseTimeout:    10 * time.Minute,
		HeartbeatTimeout:       heartbeatTimeout,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	}
}

// passOptions returns those of one pass of the reconciler.
func passOptions() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		ScheduleToCloseTimeout: passHorizon,
		StartToCloseTimeout:    2 * time.Minute,
		HeartbeatTimeout:       heartbeatTimeout,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 15 * time.Second},
	}
}
