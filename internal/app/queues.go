package app

import (
	"context"

	"github.com/larirun/lari/internal/platform/telemetry"
)

// tellQueues renews the gauges of what waits to begin and of the task queues. Those of a Temporal that cannot be
// asked expire.
func (a *App) tellQueues(ctx context.Context) error {
	waiting, err := a.Runs.FindQueue(ctx)
	if err != nil {
		return err
	}
	a.Metrics.Facts.Queued(telemetry.RunQueue(waiting))
	var queues []telemetry.TaskQueue
	for _, q := range a.Control.FindFigures(ctx) {
		queues = append(queues, telemetry.TaskQueue{Name: q.Name, Tasks: q.Tasks, OldestWait: q.OldestWait, Workers: q.Workers})
	}
	if len(queues) > 0 {
		a.Metrics.Facts.TaskQueues(queues)
	}
	return nil
}
