package runs

import (
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/clock"
)

// ReasonCode is why a run does not move, or what moves it. The list is closed and part of the public contract.
type ReasonCode string

// The closed list of reasons.
const (
	WhyHeldDelay       ReasonCode = "held_delay"       // its time has not come
	WhyHeldThread      ReasonCode = "held_thread"      // other runs are before it on its thread
	WhyHeldPause       ReasonCode = "held_pause"       // its tenant or the platform begins no runs
	WhyHeldQuota       ReasonCode = "held_quota"       // a quota keeps it from beginning
	WhyNotDispatched   ReasonCode = "not_dispatched"   // accepted, and the engine has not heard of it
	WhyNoWorker        ReasonCode = "no_worker"        // nobody takes tasks
	WhyBacklog         ReasonCode = "backlog"          // its task waits for its turn
	WhyWaitingApproval ReasonCode = "waiting_approval" // a human is to answer
	WhyWaitingQuota    ReasonCode = "waiting_quota"    // it has begun, and a quota keeps it from going on
	WhyRetrying        ReasonCode = "retrying"         // a step failed and is tried again
	WhyProviderSlow    ReasonCode = "provider_slow"    // the model has been silent for long
	WhyToolRunning     ReasonCode = "tool_running"     // a tool is at work
	WhyThinking        ReasonCode = "thinking"         // the model is at work
	WhyCancelling      ReasonCode = "cancelling"       // somebody asked it to stop
	WhyWorkflowStuck   ReasonCode = "workflow_stuck"   // the workflow's code fails over and over
	WhyWorkflowEnded   ReasonCode = "workflow_ended"   // the workflow has ended and the run's end is yet to be recorded
	WhyEngineAway      ReasonCode = "engine_away"      // Temporal cannot be asked
	WhyFinished        ReasonCode = "finished"         // it has ended
)

// ReasonCodes lists every code.
func ReasonCodes() []ReasonCode {
	return []ReasonCode{
		WhyHeldDelay, WhyHeldThread, WhyHeldPause, WhyHeldQuota, WhyNotDispatched, WhyNoWorker, WhyBacklog, WhyWaitingApproval, WhyWaitingQuota,
		WhyRetrying, WhyProviderSlow, WhyToolRunning, WhyThinking, WhyCancelling, WhyWorkflowStuck, WhyWorkflowEnded, WhyEngineAway, WhyFinished,
	}
}

// works reports whether the code says that something is being done for the run.
func (c ReasonCode) works() bool { return c == WhyThinking || c == WhyToolRunning }

// stops reports whether nothing goes on, not even a stop, while the code holds.
func (c ReasonCode) stops() bool {
	switch c { //nolint:exhaustive // the others let the rest of the run go on
	case WhyNotDispatched, WhyNoWorker, WhyBacklog, WhyWorkflowStuck, WhyWorkflowEnded:
		return true
	}
	return false
}

// Next says what happens next, or who could help.
func (c ReasonCode) Next() string {
	switch c {
	case WhyHeldDelay:
		return "It begins when its time comes."
	case WhyHeldThread:
		return "It begins when the runs before it on the thread have ended."
	case WhyHeldPause:
		return "It begins when whoever paused it resumes."
	case WhyHeldQuota:
		return "It begins when the quota frees or is raised."
	case WhyNotDispatched:
		return "It is handed to Temporal again within seconds."
	case WhyNoWorker:
		return "It goes on when a worker is started: lari worker."
	case WhyBacklog:
		return "It goes on when a worker gets to it; more workers shorten the wait."
	case WhyWaitingApproval:
		return "It goes on when somebody approves or rejects the call, or when the time for that is over."
	case WhyWaitingQuota:
		return "It goes on when the quota frees or is raised."
	case WhyRetrying:
		return "It goes on when an attempt succeeds, and ends when its time is over."
	case WhyProviderSlow:
		return "It goes on when the model's provider answers, and is tried again when that takes too long."
	case WhyToolRunning:
		return "It goes on when the tool has answered."
	case WhyThinking:
		return "It goes on when the model has answered."
	case WhyCancelling:
		return "It ends when what is under way has stopped."
	case WhyWorkflowStuck:
		return "It goes on when a version of the worker is deployed that fits, or somebody terminates it in Temporal."
	case WhyWorkflowEnded:
		return "The reconciler records its end with the next pass."
	case WhyEngineAway:
		return "Ask again when Temporal can be reached."
	case WhyFinished:
		return "Nothing: it has ended."
	}
	return ""
}

// Explanation is why a run moves or does not.
type Explanation struct {
	RunID   uuid.UUID  `json:"run_id"`
	Status  Status     `json:"status" enum:"queued,running,waiting,completed,failed,cancelled,timed_out"`
	Moving  bool       `json:"moving" description:"Something is being done for the run at this moment."`
	Since   clock.Time `json:"since" description:"Since when the first reason holds."`
	Reasons []Reason   `json:"reasons" nullable:"false" description:"At least one, the one that counts most first."`
	Next    string     `json:"next" description:"What happens next, or who could help." example:"It goes on when a worker is started: lari worker."`
}

// Reason is one of them.
type Reason struct {
	Code   ReasonCode  `json:"code" enum:"held_delay,held_thread,held_pause,held_quota,not_dispatched,no_worker,backlog,waiting_approval,waiting_quota,retrying,provider_slow,tool_running,thinking,cancelling,workflow_stuck,workflow_ended,engine_away,finished" example:"no_worker"`
	Detail string      `json:"detail" description:"The reason in a sentence." example:"No worker asks for tasks."`
	Since  *clock.Time `json:"since" description:"Since when it holds; null: not known."`
	Until  *clock.Time `json:"until,omitempty" description:"When it ends by itself, if that is known."`
	Data   *Facts      `json:"data,omitempty"`
}

// Facts are what a reason says to programs; which of them are there, the code decides.
type Facts struct {
	RunID             *uuid.UUID       `json:"run_id,omitempty" description:"held_thread: the run that is active on the thread, or the first in the line."`
	Position          int64            `json:"position,omitempty" description:"held_thread: its place in the line, from 1."`
	Scope             string           `json:"scope,omitempty" description:"held_pause: tenant or platform."`
	State             string           `json:"state,omitempty" description:"held_pause: paused, draining, suspended or deleting."`
	By                string           `json:"by,omitempty" description:"held_pause, cancelling: who."`
	Reason            string           `json:"reason,omitempty" description:"held_pause, cancelling: why, as they gave it."`
	Quota             string           `json:"quota,omitempty" description:"held_quota, waiting_quota: which."`
	Limit             *decimal.Decimal `json:"limit,omitempty"`
	Used              *decimal.Decimal `json:"used,omitempty"`
	Tasks             *int64           `json:"tasks,omitempty" description:"no_worker, backlog: tasks that wait, about."`
	OldestWaitSeconds *float64         `json:"oldest_wait_seconds,omitempty" description:"no_worker, backlog: how long the oldest of them has waited, about."`
	LastSeen          *clock.Time      `json:"last_seen,omitempty" description:"no_worker: when a worker last asked for tasks, if that was within minutes."`
	ApprovalID        *uuid.UUID       `json:"approval_id,omitempty"`
	ToolCallID        *uuid.UUID       `json:"tool_call_id,omitempty"`
	Tool              string           `json:"tool,omitempty"`
	Step              int              `json:"step,omitempty"`
	Attempt           int32            `json:"attempt,omitempty" description:"retrying, workflow_stuck: the attempt that is under way or comes next."`
	MaxAttempts       int32            `json:"max_attempts,omitempty" description:"retrying; absent: until the run's time is over."`
	LastError         string           `json:"last_error,omitempty" description:"retrying: what the attempt before failed with."`
	NextAttemptAt     *clock.Time      `json:"next_attempt_at,omitempty" description:"retrying; absent: it is under way."`
	SilentSeconds     float64          `json:"silent_seconds,omitempty" description:"provider_slow: for how long nothing came."`
	Outcome           Status           `json:"outcome,omitempty" enum:"completed,failed,cancelled,timed_out" description:"finished: how."`
	ErrorCode         string           `json:"error_code,omitempty" description:"finished: the code of the failure."`
}

// maxLastError bounds what a reason repeats of a failure, in bytes.
const maxLastError = 500

// seconds rounds for people.
func seconds(d time.Duration) float64 { return d.Round(100 * time.Millisecond).Seconds() }
