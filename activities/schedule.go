package activities

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/internal/schedules"
)

// ScheduleRef names a schedule.
type ScheduleRef struct {
	TenantID   uuid.UUID `json:"tenant_id"`
	ScheduleID uuid.UUID `json:"schedule_id"`
}

// Firing is one firing of a schedule.
type Firing struct {
	ScheduleRef
	Nominal   time.Time `json:"nominal"`   // the time of the spec that it is for
	Execution string    `json:"execution"` // of its workflow, the first one
}

func (f Firing) scoped(ctx context.Context) context.Context {
	return scope.With(ctx, scope.Scope{Tenant: f.TenantID, Actor: "schedule:" + f.ScheduleID.String(), RequestID: f.Execution})
}

func (f Firing) domain() schedules.Firing {
	return schedules.Firing{ScheduleID: f.ScheduleID, Nominal: f.Nominal, Execution: f.Execution}
}

// Fired is what became of a firing: the run that its workflow is to execute, or why there is none.
type Fired struct {
	Run    *ScheduledRun `json:"run,omitempty"`
	Code   string        `json:"code,omitempty"`
	Detail string        `json:"detail,omitempty"`
}

// ScheduledRun is what the workflow of an accepted run is begun with.
type ScheduledRun struct {
	RunRef
	AgentID  uuid.UUID   `json:"agent_id"`
	Title    string      `json:"title"`
	Limits   runs.Limits `json:"limits"`
	StepsPer int         `json:"steps_per,omitempty"` // of one workflow execution
}

// FireSchedule accepts the run of a firing. While new runs are held it fails, and is tried again.
func (a *Activities) FireSchedule(ctx context.Context, f Firing) (Fired, error) {
	ctx = f.scoped(ctx)
	done, err := a.Schedules.Fire(ctx, f.domain())
	if err != nil || done.RunID == nil {
		return Fired{Code: string(done.Code), Detail: done.Detail}, translate(err)
	}
	r, err := a.Runs.FindToStart(ctx, *done.RunID)
	if err != nil {
		return Fired{}, translate(err)
	}
	return Fired{Run: &ScheduledRun{
		RunRef: RunRef{TenantID: r.TenantID, RunID: r.ID}, AgentID: r.AgentID, Title: r.Title, Limits: r.Limits, StepsPer: a.StepsPerExecution,
	}}, nil
}

// StopFiring is a firing that is to stop, and why.
type StopFiring struct {
	Firing
	Reason string `json:"reason"`
}

// StopFiring asks the run of a firing to stop.
func (a *Activities) StopFiring(ctx context.Context, f StopFiring) error {
	return translate(a.Schedules.CancelFiring(f.scoped(ctx), f.domain(), f.Reason))
}
