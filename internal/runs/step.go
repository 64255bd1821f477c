package runs

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
)

// Step is one turn of think and act, as it was recorded: what the model said and which tools it asked for.
type Step struct {
	RunID     uuid.UUID
	Number    int // from 1
	Content   string
	Finish    string // why the model stopped
	Model     string
	Usage     event.Usage
	At        clock.Time
	ToolCalls []ToolCall
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
