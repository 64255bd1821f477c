package harness

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/workflows"
)

// limitedEngine starts runs with time limits of Temporal's own, which are the options'.
type limitedEngine struct {
	runs.Engine
	temporal client.Client
	options  client.StartWorkflowOptions
}

// StartRun begins the run's workflow.
func (l limitedEngine) StartRun(ctx context.Context, r runs.Run) error {
	o := l.options
	o.ID, o.TaskQueue = workflows.RunWorkflowID(r.TenantID, r.ID), workflows.RunQueue
	_, err := l.temporal.ExecuteWorkflow(ctx, o, workflows.AgentRunName, workflows.RunInput{
		RunRef: activities.RunRef{TenantID: r.TenantID, RunID: r.ID}, HooksVersion: workflows.HooksVersion,
		MaxSteps: r.Limits.MaxSteps, Timeout: r.Limits.Timeout, ApprovalTTL: r.Limits.ApprovalTTL,
	})
	return err
}

// StartLimited starts a run whose workflow Temporal itself closes after the options' time-out.
func (s *System) StartLimited(t testing.TB, p *Process, x *Tenant, o client.StartWorkflowOptions, in runs.NewRun) uuid.UUID {
	t.Helper()
	d := p.App.Runs.Deps
	d.Engine = limitedEngine{Engine: d.Engine, temporal: s.Temporal, options: o}
	r, err := runs.NewService(d).Create(scope.With(t.Context(), scope.Scope{Tenant: x.ID, Actor: "test", RequestID: "limited"}), in)
	if err != nil {
		t.Fatalf("start a run: %v", err)
	}
	return r.ID
}
