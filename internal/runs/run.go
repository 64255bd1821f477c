package runs

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/storable"
)

// Run is one execution of an agent. It changes only through its methods, and each change that the
// world should know of gives the events that tell it; the store writes both in one transaction.
type Run struct {
	ID           uuid.UUID
	TenantID     uuid.UUID
	WorkspaceID  *uuid.UUID
	AgentID      uuid.UUID
	AgentVersion int
	ThreadID     *uuid.UUID
	ScheduleID   *uuid.UUID
	Status       Status
	Input        []InputMessage
	Output       *string // stands with the last step already; it is the answer once the run is Completed
	FinishReason string  // why the model stopped in the step that the run ended with; "": it did not get there
	Error        *Failure
	Usage        event.Usage
	Metadata     json.RawMessage
	Limits       Limits
	Step         int // the last step that began
	WebhookURL   string
	RequestID    string
	TraceParent  string // of the request's trace, "" for none
	CreatedBy    string
	CreatedAt    clock.Time
	StartedAt    *clock.Time
	FinishedAt   *clock.Time
	Cancel       *CancelRequest
	Held         *Held          // nil: it is not held
	DueAt        *clock.Time    // not to be started before; nil: at once
	OnBusy       OnBusy         // what it asked for in case its thread is busy
	RolledBack   bool           // its messages leave the thread when it has ended
	RetryOf      *uuid.UUID     // the run that it repeats
	ForkedFrom   *uuid.UUID     // the run whose first steps it began with
	ForkedStep   int            // the first step of its own; 0: it is no fork
	IntakeClosed bool           // the answer stands: no further message is taken
	Warnings     []QuotaWarning // of the quotas that its acceptance brought near their end; not stored
	Title        string         // for people who look at the engine: tenant, agent and version; not stored
}

// InputMessage is one message that a run begins with.
type InputMessage struct {
	Role    string `json:"role" validate:"required,oneof=user assistant" enum:"user,assistant"`
	Content string `json:"content" validate:"required,max=200000" maxLength:"200000"`
}

// Limits bound a run. A nil limit is none.
type Limits struct {
	MaxTokens   *int64
	MaxCostUSD  *decimal.Decimal
	MaxSteps    int
	Timeout     time.Duration // of thinking and acting; waiting for a human is not counted
	ApprovalTTL time.Duration // how long a human may take to answer
}

// Failure says why a run did not complete.
type Failure struct {
	Code    event.ErrorCode `json:"code"`
	Message string          `json:"message"`
}

// CancelRequest says who asked the run to stop, when and why.
type CancelRequest struct {
	At     clock.Time
	By     string
	Reason string
}

// now is the resolution of every time that is stored or shown: milliseconds, UTC.
func now() clock.Time { return clock.Now() }

// msBetween gives milliseconds, at least none: the two times may come from machines whose clocks differ.
func msBetween(from, to clock.Time) int64 { return max(to.Sub(from).Milliseconds(), 0) }

func (r *Run) become(to Status) error {
	if r.Status.Final() {
		return fault.New(fault.RunFinal, "The run has ended: it is %s.", r.Status)
	}
	if !r.Status.CanBecome(to) {
		return fault.New(fault.Conflict, "A run that is %s cannot become %s.", r.Status, to)
	}
	r.Status = to
	return nil
}

// leave is become for a change that means something only from one state.
func (r *Run) leave(from, to Status) error {
	if r.Status != from && !r.Status.Final() {
		return fault.New(fault.Conflict, "The run is %s, not %s.", r.Status, from)
	}
	return r.become(to)
}

// Start says that the workflow has begun.
func (r *Run) Start(at clock.Time) ([]event.Draft, error) {
	if err := r.leave(Queued, Running); err != nil {
		return nil, err
	}
	r.StartedAt = &at
	return []event.Draft{r.started(at)}, nil
}

func (r *Run) started(at clock.Time) event.Draft {
	return event.Draft{Type: event.RunStarted, Data: event.Started{
		AgentID: r.AgentID, AgentVersion: r.AgentVersion, ThreadID: r.ThreadID, QueuedMS: msBetween(r.CreatedAt, at),
	}}
}

// Wait says that the run cannot go on before a human answers.
func (r *Run) Wait(step int, what string) ([]event.Draft, error) {
	if err := r.become(Waiting); err != nil {
		return nil, err
	}
	return []event.Draft{progress(event.PhaseWait, step, event.DetailBegin, what)}, nil
}

// Resume says that the run goes on.
func (r *Run) Resume(step int, what string) ([]event.Draft, error) {
	if err := r.leave(Waiting, Running); err != nil {
		return nil, err
	}
	return []event.Draft{progress(event.PhaseWait, step, event.DetailEnd, what)}, nil
}

func progress(phase event.Phase, step int, detail event.Detail, name string) event.Draft {
	return event.Draft{Type: event.RunProgress, Data: event.Progress{Phase: phase, Step: step, Detail: detail, Name: name}}
}

// AskCancel notes that somebody wants the run to stop. The first one who asks is the one recorded.
func (r *Run) AskCancel(by, reason string, at clock.Time) error {
	if r.Status.Final() {
		return fault.New(fault.RunFinal, "The run has ended: it is %s.", r.Status)
	}
	if r.Cancel == nil {
		r.Cancel = &CancelRequest{At: at, By: by, Reason: reason}
	}
	return nil
}

// Outcome is how a run ended, as its workflow saw it.
type Outcome struct {
	Status  Status          `json:"status"` // final
	Code    event.ErrorCode `json:"code,omitempty"`
	Message string          `json:"message,omitempty"`
}

// maxMessage bounds the message of a failure, in bytes.
const maxMessage = 2000

// Finish ends the run. output is its answer. A run that ends without having started
// gets its run_started all the same: every log has one.
func (r *Run) Finish(o Outcome, output string, at clock.Time) ([]event.Draft, error) {
	if !o.Status.Final() {
		return nil, fault.New(fault.Internal, "%s is not a final status", o.Status)
	}
	var drafts []event.Draft
	if r.Status == Queued {
		if o.Status == Completed {
			return nil, fault.New(fault.Conflict, "A run that never started cannot end as %s.", o.Status)
		}
		drafts = append(drafts, r.started(at))
	}
	if err := r.become(o.Status); err != nil {
		return nil, err
	}
	r.FinishedAt, r.IntakeClosed = &at, true
	return append(drafts, r.final(o, output, at)), nil
}

func (r *Run) final(o Outcome, output string, at clock.Time) event.Draft {
	var duration int64
	if r.StartedAt != nil {
		duration = msBetween(*r.StartedAt, at)
	}
	r.Output = nil
	switch o.Status {
	case Completed:
		r.Output = &output
		return event.Draft{Type: event.RunCompleted, Data: event.Completed{
			Output: output, FinishReason: r.FinishReason, Usage: r.Usage, Steps: r.Step, DurationMS: duration,
		}}
	case Cancelled:
		if r.Cancel == nil { // cancelled through Temporal's own tools
			reason := storable.Clip(o.Message, maxMessage)
			if reason == "" {
				reason = "cancelled outside the API"
			}
			r.Cancel = &CancelRequest{At: at, By: "temporal", Reason: reason}
		}
		return event.Draft{Type: event.RunCancelled, Data: event.Cancelled{
			By: r.Cancel.By, Reason: r.Cancel.Reason, AskedAt: r.Cancel.At, StoppedMS: msBetween(r.Cancel.At, at),
			Usage: r.Usage, Steps: r.Step, DurationMS: duration,
		}}
	case Queued, Running, Waiting, Failed, TimedOut:
	}
	message := storable.Clip(o.Message, maxMessage)
	r.Error = &Failure{Code: o.Code, Message: message}
	return event.Draft{Type: event.RunError, Data: event.Failed{
		Code: o.Code, Message: message, FinishReason: r.FinishReason, Usage: r.Usage, Steps: r.Step, DurationMS: duration,
	}}
}

// answered reports whether the run's answer stands: its last step is recorded, and only its end is not.
func (r *Run) answered() bool { return r.Status == Running && r.IntakeClosed && r.Output != nil }

// TakesMessages reports whether a message can still be sent into the run.
func (r *Run) TakesMessages() error {
	if r.Status.Final() {
		return fault.New(fault.RunFinal, "The run has ended: it is %s.", r.Status)
	}
	if r.IntakeClosed || r.Cancel != nil {
		return fault.New(fault.RunFinal, "The run is ending and takes no more messages.")
	}
	return nil
}
