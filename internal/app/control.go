package app

import (
	"context"

	"github.com/larirun/lari/internal/control"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/workflows"
)

// joinControl makes the domain that pauses and shows what executes runs, and lets runs explain themselves
// with it.
func (a *App) joinControl() (err error) {
	a.Control, err = control.NewService(control.Deps{
		DB: a.DB, Runs: runCounts{a.Runs}, Engine: a.engine, Queues: workflows.Queues(),
		Logger: a.log,
		Released: func(ctx context.Context, of control.Scope) {
			if of == control.ScopePlatform {
				a.Runs.FreeAll()
				return
			}
			a.Runs.FreeTenant(ctx)
		},
	})
	a.Runs.Explains.Queues, a.Runs.Explains.Pauses = runQueue{a.Control}, runPauses{a.Control}
	return err
}

// runCounts shows runs to control.
type runCounts struct{ runs *runs.Service }

func (p runCounts) CountRuns(ctx context.Context) (control.Counts, error) {
	c, err := p.runs.CountUnfinished(ctx)
	return control.Counts(c), err
}

func (p runCounts) CountAllRuns(ctx context.Context) (control.Counts, error) {
	c, err := p.runs.CountAllUnfinished(ctx)
	return control.Counts(c), err
}

// runQueue shows the queue of runs to runs.
type runQueue struct{ control *control.Service }

func (p runQueue) FindRunQueue(ctx context.Context) (runs.QueueHealth, error) {
	h, err := p.control.FindHealth(ctx, workflows.RunQueue)
	return runs.QueueHealth{
		Workflows:  runs.Backlog{Tasks: h.Workflows.Tasks, OldestWait: h.Workflows.OldestWait},
		Activities: runs.Backlog{Tasks: h.Activities.Tasks, OldestWait: h.Activities.OldestWait},
		Polling:    h.Polling, LastSeen: h.LastSeen,
	}, err
}

// runPauses shows what keeps runs from beginning to runs.
type runPauses struct{ control *control.Service }

func (p runPauses) FindPause(ctx context.Context) (runs.Pause, bool, error) {
	s, err := p.control.Standing(ctx)
	if err != nil || s.NewRuns == control.Start {
		return runs.Pause{}, false, err
	}
	pause := runs.Pause{Scope: string(s.Scope), State: string(s.State), Reason: s.Reason, By: s.ChangedBy, Since: s.ChangedAt}
	if s.State == control.Running { // the tenant's status is what stands against it
		pause = runs.Pause{Scope: string(control.ScopeTenant), State: s.TenantStatus}
	}
	return pause, true, nil
}
