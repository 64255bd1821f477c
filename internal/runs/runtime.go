package runs

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/scope"
)

// Execution is a run as the engine sees it.
type Execution struct {
	RunID             uuid.UUID         `json:"run_id"`
	WorkflowID        string            `json:"workflow_id"`
	ExecutionID       string            `json:"execution_id" description:"The engine's id of the latest execution of the workflow."`
	Status            string            `json:"status" description:"The engine's own status." example:"Running"`
	TaskQueue         string            `json:"task_queue"`
	StartedAt         *clock.Time       `json:"started_at"`
	ClosedAt          *clock.Time       `json:"closed_at"`
	HistoryEvents     int64             `json:"history_events"`
	HistoryBytes      int64             `json:"history_bytes"`
	PendingActivities []PendingActivity `json:"pending_activities" description:"Empty in lists."`
	UIURL             string            `json:"ui_url,omitempty" description:"The execution in the Temporal UI."`

	PendingTask *PendingTask `json:"pending_task,omitempty" description:"What the run's workflow is to look at; absent in lists."`
	Ending      Ending       `json:"-"` // as FindFate would tell it
}

// PendingTask is a turn of the workflow itself, which a worker is to take or has taken.
type PendingTask struct {
	Attempt     int32       `json:"attempt" description:"More than one: the workflow's code failed, or its worker died."`
	ScheduledAt *clock.Time `json:"scheduled_at"`
	StartedAt   *clock.Time `json:"started_at" description:"Null: no worker has taken it yet."`
}

// Work is what an activity does for a run.
type Work string

// What activities do.
const (
	WorkThink Work = "think" // the model is asked
	WorkAct   Work = "act"   // a tool is called
	WorkOther Work = "other"
)

// PendingActivity is a step that the engine has scheduled and that has not ended.
type PendingActivity struct {
	Type          string      `json:"type"`
	State         string      `json:"state"`
	Attempt       int32       `json:"attempt"`
	LastFailure   string      `json:"last_failure,omitempty"`
	LastHeartbeat *clock.Time `json:"last_heartbeat"`
	NextAttemptAt *clock.Time `json:"next_attempt_at"`

	ScheduledAt *clock.Time `json:"scheduled_at"`
	StartedAt   *clock.Time `json:"started_at" description:"When the attempt under way began; null: none is."`
	MaxAttempts int32       `json:"max_attempts,omitempty" description:"Absent: it is tried until the run's time is over."`
	WorkingAt   *clock.Time `json:"working_at,omitempty" description:"When the model last gave a sign that is in no event: a thought, a piece of a tool call."`
	Work        Work        `json:"-"`
	FailureType string      `json:"-"` // of LastFailure, as activities name them; "timeout" for one of the engine's
}

// FindExecution gives the engine's view of a run of the tenant.
func (s *Service) FindExecution(ctx context.Context, id uuid.UUID) (Execution, error) {
	if _, err := s.store.find(ctx, id); err != nil {
		return Execution{}, err
	}
	return s.Engine.FindExecution(ctx, scope.Tenant(ctx), id)
}

// FindExecutions gives the engine's view of the tenant's runs.
func (s *Service) FindExecutions(ctx context.Context, p page.Request) (page.Page[Execution], error) {
	limit, after, err := p.Start()
	if err != nil {
		return page.Page[Execution]{}, err
	}
	items, next, err := s.Engine.FindExecutions(ctx, scope.Tenant(ctx), limit, after)
	if err != nil {
		return page.Page[Execution]{}, err
	}
	found := page.Page[Execution]{Items: items}
	if next != "" {
		cursor := page.Encode(next)
		found.NextCursor = &cursor
	}
	return found, nil
}
