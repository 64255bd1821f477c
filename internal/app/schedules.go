package app

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/internal/schedules"
)

// joinSchedules makes the domain of schedules.
func (a *App) joinSchedules() {
	a.Schedules = schedules.NewService(schedules.Deps{
		DB: a.DB, Engine: a.engine, Runs: scheduledRuns{a.Runs}, Logger: a.log,
		Rules: schedules.Rules{MinInterval: a.cfg.Schedules.MinInterval},
	})
}

// scheduledRuns shows runs to schedules.
type scheduledRuns struct{ runs *runs.Service }

func (p scheduledRuns) Check(ctx context.Context, t schedules.Template) error {
	return p.runs.Check(ctx, newRun(t))
}

func (p scheduledRuns) Accept(ctx context.Context, t schedules.Template, id, schedule uuid.UUID) (held bool, err error) {
	in := newRun(t)
	in.ID, in.ScheduleID = id, &schedule
	r, err := p.runs.Accept(ctx, in)
	return r.Held != nil, err
}

func (p scheduledRuns) Cancel(ctx context.Context, id uuid.UUID, reason string) error {
	_, err := p.runs.Cancel(ctx, id, reason)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.RunFinal) {
		return nil
	}
	return err
}

func newRun(t schedules.Template) runs.NewRun {
	n := runs.NewRun{
		Agent: t.Agent, Input: t.Input, ThreadID: t.ThreadID, WorkspaceID: t.WorkspaceID, Metadata: t.Metadata,
		TimeoutSeconds: t.TimeoutSeconds, WebhookURL: t.WebhookURL,
	}
	for _, m := range t.Messages {
		n.Messages = append(n.Messages, runs.InputMessage(m))
	}
	if t.Budget != nil {
		b := runs.Budget(*t.Budget)
		n.Budget = &b
	}
	return n
}
