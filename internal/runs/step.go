package runs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
)

// Step is one turn of think and act, as it was recorded: what the model said and which tools it asked for.
type Step struct {
	RunID   uuid.UUID
	Number  int // from 1
	Content string
	Finish  string // why the model stopped
	CutBy   CutBy
	// ProviderData is what the provider of the model wants back with the step. Only the same provider and model are
	// shown it; nil: nothing.
	ProviderData []byte
	Model        string
	Usage        event.Usage
	At           clock.Time
	ToolCalls    []ToolCall
}

// CutBy names what cut an answer off before its end, if it was a limit of the run or its tenant.
type CutBy string

// What can cut an answer off.
const (
	CutByNothing CutBy = ""
	CutByBudget  CutBy = "budget" // what was left of the run's tokens
	CutByQuota   CutBy = "quota"  // what was left of a quota of the tenant
)

// failure returns why the run cannot go on from the step, nor end well with it; nil when it can.
func (st Step) failure() *Failure {
	if st.isActing() {
		return nil
	}
	switch {
	case st.CutBy == CutByBudget:
		return &Failure{Code: event.ErrorBudget, Message: "The answer was cut off: the run's budget of tokens is used up."}
	case st.CutBy == CutByQuota:
		return &Failure{Code: event.ErrorQuota, Message: "The answer was cut off: a monthly quota of the tenant has no more room."}
	case len(st.ToolCalls) == 0 && strings.TrimSpace(st.Content) == "" && st.Finish != finishStop && st.Finish != "":
		return &Failure{Code: event.ErrorNoAnswer, Message: fmt.Sprintf("The model stopped (%s) before it said anything.", st.Finish)}
	}
	return nil
}

// finishStop is the reason of a model that is done.
const finishStop = "stop"

// isActing reports whether the step has tool calls to run.
func (st Step) isActing() bool {
	return slices.ContainsFunc(st.ToolCalls, func(c ToolCall) bool { return !c.IsUnfinished() })
}

// ToolStatus is the state of a tool call.
type ToolStatus string

// The states of a tool call.
const (
	ToolPending   ToolStatus = "pending"
	ToolRunning   ToolStatus = "running"
	ToolCompleted ToolStatus = "completed"
	ToolFailed    ToolStatus = "failed"
	ToolRejected  ToolStatus = "rejected" // a human said no, or nobody answered in time
)

// Ended reports whether the call has a result.
func (s ToolStatus) Ended() bool {
	return s == ToolCompleted || s == ToolFailed || s == ToolRejected
}

// ToolCall is one tool that the model asked for.
type ToolCall struct {
	ID         uuid.UUID
	RunID      uuid.UUID
	Step       int
	Position   int    // among the calls of the step, from 0
	CallID     string // the provider's own id
	Name       string
	Arguments  string // JSON text as the model wrote it, or as a human edited it
	Status     ToolStatus
	Result     string // for the model: the answer, or what went wrong
	StartedAt  *clock.Time
	FinishedAt *clock.Time
	Tries      int // how often the tool was about to be called
}

// IsUnfinished reports whether the call was never to be run: it was cut off, say.
func (c ToolCall) IsUnfinished() bool { return c.Status == ToolFailed && c.StartedAt == nil }

// MessageID names the message that a step streams.
func MessageID(run uuid.UUID, step int) string {
	return uuid.NewSHA1(run, fmt.Appendf(nil, "message %d", step)).String()
}

// LiveMessage is a message that was sent into a live run.
type LiveMessage struct {
	ID        uuid.UUID
	Content   string
	Step      *int // the step it was injected before; nil: not yet
	CreatedBy string
	CreatedAt clock.Time
}

func (m LiveMessage) received() event.Draft {
	return event.Draft{Type: event.MessageReceived, Data: event.Received{MessageID: m.ID, Text: m.Content, By: m.CreatedBy}}
}
