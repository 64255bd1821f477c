// Package worker is the Temporal role: it registers workflows and activities and polls the task queues.
package worker

import (
	"fmt"
	"os"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/workflows"
)

// Options size a worker process.
type Options struct {
	ConcurrentActivities      int
	ConcurrentLocalActivities int
	ConcurrentWorkflowTasks   int
	StopTimeout               time.Duration // how long activities may finish when the process stops
	Version                   string        // of the program, for whoever looks at who polls
}

// Worker polls the queues of runs, of deliveries, of maintenance and of schedules.
type Worker struct {
	runs        worker.Worker
	deliveries  worker.Worker
	maintenance worker.Worker
	schedules   worker.Worker
}

// New makes the workers of a process. The client must carry workflows.Plugin: workers inherit it.
func New(c client.Client, a *activities.Activities, o Options) *Worker {
	identity := identityOf(o.Version)
	w := &Worker{
		runs: worker.New(c, workflows.RunQueue, worker.Options{
			Identity:                                identity,
			MaxConcurrentActivityExecutionSize:      o.ConcurrentActivities,
			MaxConcurrentLocalActivityExecutionSize: o.ConcurrentLocalActivities,
			MaxConcurrentWorkflowTaskExecutionSize:  o.ConcurrentWorkflowTasks,
			MaxConcurrentEagerActivityExecutionSize: o.ConcurrentActivities,
			WorkerStopTimeout:                       o.StopTimeout,
		}),
		deliveries: worker.New(c, workflows.ConnectorQueue, worker.Options{
			Identity:                           identity,
			MaxConcurrentActivityExecutionSize: o.ConcurrentActivities,
			WorkerStopTimeout:                  o.StopTimeout,
		}),
		maintenance: worker.New(c, workflows.MaintenanceQueue, worker.Options{
			Identity:                           identity,
			MaxConcurrentWorkflowTaskPollers:   2, // the fewest that the SDK takes
			MaxConcurrentActivityTaskPollers:   1,
			MaxConcurrentActivityExecutionSize: 4, // deletions of tenants, in slices, beside the reconciler
			WorkerStopTimeout:                  o.StopTimeout,
		}),
		schedules: worker.New(c, workflows.ScheduleQueue, worker.Options{
			Identity:                           identity,
			MaxConcurrentWorkflowTaskPollers:   2,
			MaxConcurrentActivityTaskPollers:   1,
			MaxConcurrentActivityExecutionSize: 20,
			WorkerStopTimeout:                  o.StopTimeout,
		}),
	}
	w.runs.RegisterWorkflowWithOptions(workflows.AgentRun, workflow.RegisterOptions{Name: workflows.AgentRunName})
	w.runs.RegisterActivity(a)
	w.deliveries.RegisterWorkflowWithOptions(workflows.DeliverEvent, workflow.RegisterOptions{Name: workflows.DeliverEventName})
	w.deliveries.RegisterActivity(a.Deliver)
	w.deliveries.RegisterActivity(a.GiveUpDelivery)
	w.maintenance.RegisterWorkflowWithOptions(workflows.Reconcile, workflow.RegisterOptions{Name: workflows.ReconcileName})
	w.maintenance.RegisterActivity(a.Reconcile)
	w.schedules.RegisterWorkflowWithOptions(workflows.FireSchedule, workflow.RegisterOptions{Name: workflows.FireScheduleName})
	w.schedules.RegisterActivity(a.FireSchedule)
	w.schedules.RegisterActivity(a.StopFiring)
	w.maintenance.RegisterWorkflowWithOptions(workflows.DeleteTenant, workflow.RegisterOptions{Name: workflows.DeleteTenantName})
	w.maintenance.RegisterActivity(a.AdvanceDeletion)
	return w
}

func identityOf(version string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return workflows.WorkerIdentity(host, os.Getpid(), version)
}

// Start begins to poll; it fails when Temporal cannot be reached or does not know the namespace.
func (w *Worker) Start() error {
	if err := w.runs.Start(); err != nil {
		return fmt.Errorf("start the worker of runs: %w", err)
	}
	if err := w.deliveries.Start(); err != nil {
		w.runs.Stop()
		return fmt.Errorf("start the worker of deliveries: %w", err)
	}
	if err := w.maintenance.Start(); err != nil {
		w.deliveries.Stop()
		w.runs.Stop()
		return fmt.Errorf("start the worker of maintenance: %w", err)
	}
	if err := w.schedules.Start(); err != nil {
		w.maintenance.Stop()
		w.deliveries.Stop()
		w.runs.Stop()
		return fmt.Errorf("start the worker of schedules: %w", err)
	}
	return nil
}

// Stop takes no more tasks and waits, for about the stop timeout, until those at hand have ended. While
// Temporal does not answer it takes several times as long: pollers and recorders each wait in turn.
func (w *Worker) Stop() {
	var all sync.WaitGroup
	all.Go(w.schedules.Stop)
	all.Go(w.maintenance.Stop)
	all.Go(w.deliveries.Stop)
	all.Go(w.runs.Stop)
	all.Wait()
}
