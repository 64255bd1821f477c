package api

import (
	"encoding/json"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/runs"
)

// runView is a run as callers see it.
type runView struct {
	ID           uuid.UUID           `json:"id" required:"true"`
	TenantID     uuid.UUID           `json:"tenant_id" required:"true"`
	WorkspaceID  *uuid.UUID          `json:"workspace_id" required:"true"`
	AgentID      uuid.UUID           `json:"agent_id" required:"true"`
	AgentVersion int                 `json:"agent_version" required:"true"`
	ThreadID     *uuid.UUID          `json:"thread_id" required:"true"`
	ScheduleID   *uuid.UUID          `json:"schedule_id" required:"true"`
	Status       runs.Status         `json:"status" required:"true" enum:"queued,running,waiting,completed,failed,cancelled,timed_out"`
	Input        []runs.InputMessage `json:"input" required:"true"`
	Output       *string             `json:"output" required:"true" description:"The answer of a completed run; of one that its budget or a quota cut off in its answer, what there is of it."`
	FinishReason *string             `json:"finish_reason" required:"true" description:"Why the model stopped, once it has answered: stop, length (the answer is cut off), content_filter (a filter or a refusal), or the provider's own word."`
	Error        *runs.Failure       `json:"error" required:"true" description:"Why the run failed or timed out."`
	Usage        usageView           `json:"usage" required:"true"`
	Held         *heldView           `json:"held,omitempty" description:"Why the run has not begun yet, if something holds it."`
	DueAt        *clock.Time         `json:"due_at,omitempty" description:"When it may begin, if it was to wait."`
	RetryOf      *uuid.UUID          `json:"retry_of,omitempty" description:"The run that it repeats."`
	ForkedFrom   *forkView           `json:"forked_from,omitempty" description:"The run whose first steps it took over."`
	Cancel       *cancelView         `json:"cancel,omitempty" description:"Who asked the run to stop."`
	Metadata     json.RawMessage     `json:"metadata" required:"true"`
	CreatedAt    clock.Time          `json:"created_at" required:"true"`
	StartedAt    *clock.Time         `json:"started_at" required:"true"`
	FinishedAt   *clock.Time         `json:"finished_at" required:"true"`
}

type usageView struct {
	InputTokens  int64  `json:"input_tokens" required:"true"`
	OutputTokens int64  `json:"output_tokens" required:"true"`
	CostUSD      string `json:"cost_usd" required:"true" example:"0.0042" description:"Decimal US dollars."`
	Estimated    bool   `json:"estimated,omitempty" description:"Part of it was counted here, because the provider could not report."`
}

type heldView struct {
	By    runs.Hold  `json:"by" required:"true" enum:"delay,thread,pause,quota" description:"Its time has not come, its thread is busy, its tenant or the platform is paused, or a quota is used up."`
	Since clock.Time `json:"since" required:"true"`
}

type forkView struct {
	RunID uuid.UUID `json:"run_id" required:"true"`
	Step  int       `json:"step" required:"true" description:"The first step of its own."`
}

type cancelView struct {
	By        string     `json:"by" required:"true"`
	Reason    string     `json:"reason" required:"true"`
	AskedAt   clock.Time `json:"asked_at" required:"true"`
	StoppedMS *int64     `json:"stopped_ms" required:"true" description:"From asked to stopped; null until then."`
}

// Location is where the run is found.
func (v runView) Location() string { return "/v1/runs/" + v.ID.String() }

func viewRun(r runs.Run) runView {
	v := runView{
		ID: r.ID, TenantID: r.TenantID, WorkspaceID: r.WorkspaceID, AgentID: r.AgentID, AgentVersion: r.AgentVersion,
		ThreadID: r.ThreadID, ScheduleID: r.ScheduleID, Status: r.Status, Input: r.Input, Error: r.Error,
		Usage: usageView{
			InputTokens: r.Usage.InputTokens, OutputTokens: r.Usage.OutputTokens, CostUSD: r.Usage.CostUSD.String(), Estimated: r.Usage.Estimated,
		},
		Metadata: r.Metadata, CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
	}
	if r.Status.Final() {
		v.Output = r.Output
	}
	if r.FinishReason != "" {
		v.FinishReason = &r.FinishReason
	}
	v.DueAt, v.RetryOf = r.DueAt, r.RetryOf
	if r.Held != nil {
		v.Held = &heldView{By: r.Held.By, Since: r.Held.At}
	}
	if r.ForkedFrom != nil {
		v.ForkedFrom = &forkView{RunID: *r.ForkedFrom, Step: r.ForkedStep}
	}
	if r.Cancel != nil {
		v.Cancel = &cancelView{By: r.Cancel.By, Reason: r.Cancel.Reason, AskedAt: r.Cancel.At}
		if r.Status == runs.Cancelled && r.FinishedAt != nil {
			ms := max(r.FinishedAt.Sub(r.Cancel.At).Milliseconds(), 0)
			v.Cancel.StoppedMS = &ms
		}
	}
	return v
}
