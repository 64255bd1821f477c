// Package event is the vocabulary of the event log: the envelope, the closed list of types and the
// payload of each. Streams, webhooks, audit rows and timelines are projections of these.
package event

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/storable"
)

// Type names what happened. The list is closed and part of the public contract.
type Type string

// The closed list of event types.
const (
	RunStarted        Type = "run_started"         // exactly one, the first
	RunProgress       Type = "run_progress"        // a step, tool call or wait begins or ends
	RunCompleted      Type = "run_completed"       // final
	RunError          Type = "run_error"           // final
	RunCancelled      Type = "run_cancelled"       // final
	MessageDelta      Type = "message_delta"       // a piece of the assistant's text
	ReasoningDelta    Type = "reasoning_delta"     // a piece of what the model thinks, if its agent shows that
	MessageCompleted  Type = "message_completed"   // the whole text of a message
	ToolCallStarted   Type = "tool_call_started"   // with name and arguments
	ToolCallCompleted Type = "tool_call_completed" // with result or error
	ApprovalRequested Type = "approval_requested"  // a human is asked
	ApprovalResolved  Type = "approval_resolved"   // a human answered, or nobody did in time
	MessageReceived   Type = "message_received"    // a message was sent into the live run
	AttemptRestarted  Type = "attempt_restarted"   // discard the deltas of that message
)

// Types lists every type, for tests and for the API description.
func Types() []Type {
	return []Type{
		RunStarted, RunProgress, RunCompleted, RunError, RunCancelled, MessageDelta, ReasoningDelta, MessageCompleted,
		ToolCallStarted, ToolCallCompleted, ApprovalRequested, ApprovalResolved, MessageReceived, AttemptRestarted,
	}
}

// Final reports whether a log ends with this type.
func (t Type) Final() bool { return t == RunCompleted || t == RunError || t == RunCancelled }

// Event is one entry of a run's log. Seq starts at 1 and has no holes per run.
type Event struct {
	TenantID uuid.UUID       `json:"-"`
	RunID    uuid.UUID       `json:"run_id"`
	Seq      int64           `json:"seq"`
	Type     Type            `json:"type"`
	At       clock.Time      `json:"at"`
	Data     json.RawMessage `json:"data"`
}

// Position is the event's place in its log.
func (e Event) Position() int64 { return e.Seq }

// Final reports whether the log ends here.
func (e Event) Final() bool { return e.Type.Final() }

// Hook is the connector method that an event reaches.
type Hook string

// The five hooks, and none.
const (
	HookNone     Hook = ""
	HookStart    Hook = "onStart"
	HookProgress Hook = "onProgress"
	HookComplete Hook = "onComplete"
	HookError    Hook = "onError"
	HookCancel   Hook = "onCancel"
)

// Hook gives the connector method for the type.
func (t Type) Hook() Hook {
	switch t {
	case RunStarted:
		return HookStart
	case RunProgress:
		return HookProgress
	case RunCompleted:
		return HookComplete
	case RunError:
		return HookError
	case RunCancelled:
		return HookCancel
	case MessageDelta, ReasoningDelta, MessageCompleted, ToolCallStarted, ToolCallCompleted, ApprovalRequested,
		ApprovalResolved, MessageReceived, AttemptRestarted:
		return HookNone
	}
	return HookNone
}

// Draft is an event that has no place in a log yet.
type Draft struct {
	Type Type
	Data any // one of the payload structs of this package
}

// Encode returns the payload as JSON that the log can keep, whatever a model, a tool or a person said in it.
func (d Draft) Encode() (json.RawMessage, error) {
	data, err := storable.Marshal(d.Data)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", d.Type, err)
	}
	return data, nil
}
