package activities

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/runs"
)

// The activities of this file are local ones: one short transaction each.

// StartRecorded says whether the run is to be executed.
type StartRecorded struct {
	Ended bool `json:"ended,omitempty"` // it was cancelled in the queue
}

// RecordStart records that the workflow has begun.
func (a *Activities) RecordStart(ctx context.Context, ref RunRef) (StartRecorded, error) {
	ctx = ref.scoped(ctx)
	r, err := a.Runs.Started(ctx, ref.RunID)
	if err == nil {
		a.Logger.DebugContext(ctx, "a run began", "status", r.Status)
	}
	return StartRecorded{Ended: err == nil && r.Status.Final()}, translate(err)
}

// Finish is how a run ended.
type Finish struct {
	RunRef
	Outcome runs.Outcome `json:"outcome"`
}

// RecordFinish records how the run ended and gives the status that stands: the first outcome wins.
func (a *Activities) RecordFinish(ctx context.Context, f Finish) (runs.Status, error) {
	ctx = f.scoped(ctx)
	r, err := a.Runs.Finished(ctx, f.RunID, f.Outcome)
	if err == nil {
		a.Logger.DebugContext(ctx, "a run ended", "status", r.Status, "steps", r.Step)
	}
	return r.Status, translate(err)
}

// Question asks a human about a tool call.
type Question struct {
	RunRef
	ToolCallID uuid.UUID     `json:"tool_call_id"`
	TTL        time.Duration `json:"ttl"`
}

// Asked is a question that a human has been asked.
type Asked struct {
	ApprovalID uuid.UUID  `json:"approval_id"`
	ExpiresAt  clock.Time `json:"expires_at"`
}

// AskApproval puts a tool call before a human.
func (a *Activities) AskApproval(ctx context.Context, q Question) (Asked, error) {
	approval, err := a.Runs.AskApproval(q.scoped(ctx), q.RunID, q.ToolCallID, q.TTL)
	return Asked{ApprovalID: approval.ID, ExpiresAt: approval.ExpiresAt}, translate(err)
}

// Apply makes an answer take effect.
type Apply struct {
	RunRef
	ApprovalID uuid.UUID `json:"approval_id"`
	Expire     bool      `json:"expire,omitempty"` // the time to answer is over
}

// ApplyApproval makes an answer take effect and gives it.
func (a *Activities) ApplyApproval(ctx context.Context, in Apply) (runs.Decision, error) {
	d, err := a.Runs.ApplyApproval(in.scoped(ctx), in.RunID, in.ApprovalID, in.Expire)
	return d, translate(err)
}
