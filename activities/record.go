package activities

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
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
	return StartRecorded{Ended: err == nil && r.Status.Final()}, recordError(ctx, err)
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
	return r.Status, recordError(ctx, err)
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
	Answered   bool       `json:"answered,omitempty"` // it was asked before and has its answer
}

// AskApproval puts a tool call before a human.
func (a *Activities) AskApproval(ctx context.Context, q Question) (Asked, error) {
	approval, err := a.Runs.AskApproval(q.scoped(ctx), q.RunID, q.ToolCallID, q.TTL)
	asked := Asked{ApprovalID: approval.ID, ExpiresAt: approval.ExpiresAt, Answered: err == nil && approval.Decision != runs.ApprovalPending}
	return asked, recordError(ctx, err)
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
	return d, recordError(ctx, err)
}

// untilRecorded tries to write what a step led to until it is written or the activity is to end: it was paid for, or
// has changed the world, and another attempt would do it again.
func untilRecorded(ctx context.Context, write func(context.Context) error) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := write(ctx)
		if !errors.Is(err, postgres.ErrUnreachable) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// recordTries is how often a record is tried that fails for no known reason: for some three minutes. A part that is
// away is waited for much longer.
const recordTries = 12

// recordError gives the error of a record the form that Temporal retries. The pause that a caller over HTTP would be
// asked to make is dropped: it would take the place of the growing one, and a long outage be waited for with a
// workflow task that has to be kept alive.
func recordError(ctx context.Context, err error) error {
	var failed *temporal.ApplicationError
	if err = translate(err); !errors.As(err, &failed) || failed.NonRetryable() {
		return err
	}
	return temporal.NewApplicationErrorWithOptions(failed.Message(), failed.Type(), temporal.ApplicationErrorOptions{
		Cause: failed.Unwrap(), NonRetryable: failed.Type() == string(fault.Internal) && activity.GetInfo(ctx).Attempt >= recordTries,
	})
}
