package runs

import (
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// Decision is the state of an approval.
type Decision string

// The states of an approval.
const (
	ApprovalPending Decision = "pending"
	Approved        Decision = "approved"
	Rejected        Decision = "rejected"
	Expired         Decision = "expired" // nobody answered in time: as a rejection
)

// Approval is a tool call that waits for a human.
type Approval struct {
	ID          uuid.UUID
	RunID       uuid.UUID
	ToolCallID  uuid.UUID
	Decision    Decision
	Arguments   *string // as the human edited them; nil: unchanged
	Reason      string
	RequestedAt clock.Time
	ExpiresAt   clock.Time
	ResolvedAt  *clock.Time
	ResolvedBy  string
}

// Resolve answers the question. The same answer twice is one answer; another one is a conflict.
func (a *Approval) Resolve(d Decision, arguments *string, reason, by string, at clock.Time) (changed bool, err error) {
	if a.Decision != ApprovalPending {
		if a.Decision == d && sameText(a.Arguments, arguments) {
			return false, nil
		}
		return false, fault.New(fault.Conflict, "The approval has been resolved already: %s.", a.Decision)
	}
	if d == Approved && at.After(a.ExpiresAt) {
		return false, fault.New(fault.Conflict, "The approval expired at %s.", a.ExpiresAt.Format(time.RFC3339))
	}
	a.Decision, a.Arguments, a.Reason, a.ResolvedBy, a.ResolvedAt = d, arguments, reason, by, &at
	return true, nil
}

// unanswered reports whether the run ended before anybody answered and before the time to answer was over.
func (a *Approval) unanswered(r Run) bool {
	if a.Decision == Expired && a.ResolvedAt != nil && r.FinishedAt != nil {
		return !a.ResolvedAt.Before(r.FinishedAt.Time) // it was closed with the run
	}
	return a.Decision == ApprovalPending
}

func sameText(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func (a *Approval) resolved() event.Draft {
	answer := event.ApprovalAnswer{
		ApprovalID: a.ID, ToolCallID: a.ToolCallID, Decision: string(a.Decision), By: a.ResolvedBy, Reason: a.Reason,
	}
	if a.Arguments != nil {
		answer.Arguments = jsonOrString(*a.Arguments)
	}
	return event.Draft{Type: event.ApprovalResolved, Data: answer}
}
