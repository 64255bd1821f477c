package app

import (
	"context"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/internal/schedules"
)

// joinSchedules makes the domain of schedules.
func (a *App) joinSchedules(m meter) {
	a.Schedules = schedules.NewService(schedules.Deps{
		DB: a.DB, Engine: a.engine, Runs: scheduledRuns{a.Runs}, Logger: a.log, Observer: m,
		Rules: schedules.Rules{MinInterval: a.cfg.Schedules.MinInterval},
	})
	a.Agents.InUse = func(ctx context.Context, agent agents.Agent) error {
		if err := a.Schedules.CheckUnused(ctx, schedules.Reference{AgentID: agent.ID, AgentSlug: agent.Slug}); err != nil {
			return err
		}
		return a.Webhooks.CheckUnused(ctx, agent.ID)
	}
	a.Threads.InUse = func(ctx context.Context, thread uuid.UUID) error {
		return a.Schedules.CheckUnused(ctx, schedules.Reference{ThreadID: thread})
	}
	a.Tenants.InUse = func(ctx context.Context, workspace uuid.UUID) error {
		return a.Schedules.CheckUnused(ctx, schedules.Reference{WorkspaceID: workspace})
	}
}

// countEvery is how often schedules are counted: all of them, for which the database reads each.
const countEvery = time.Minute

// watchSchedules meters what became of firings that did not reach the platform, and how many schedules there are.
func (a *App) watchSchedules(ctx context.Context, group *errgroup.Group) {
	group.Go(func() error {
		a.Schedules.RunWatcher(ctx)
		return nil
	})
	group.Go(func() error {
		ticker := time.NewTicker(countEvery)
		defer ticker.Stop()
		for {
			if err := a.tellSchedules(ctx); err != nil && ctx.Err() == nil {
				a.log.WarnContext(ctx, "the gauge of schedules was not renewed", "error", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	})
}

func (a *App) tellSchedules(ctx context.Context) error {
	counts, err := a.Schedules.CountStates(ctx)
	if err != nil {
		return err
	}
	all := make([]telemetry.ScheduleCount, 0, len(counts))
	for _, c := range counts {
		all = append(all, telemetry.ScheduleCount{Tenant: c.TenantID.String(), State: string(c.State), N: c.N})
	}
	a.Metrics.Facts.Schedules(all)
	return nil
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
