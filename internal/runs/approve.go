package runs

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

const waitForApproval = "approval"

// AskApproval puts a tool call before a human; the run waits. Asked twice it is asked once.
func (s *Service) AskApproval(ctx context.Context, run, call uuid.UUID, ttl time.Duration) (Approval, error) {
	var a Approval
	r, events, err := s.change(ctx, run, func(ctx context.Context, r *Run) ([]event.Draft, error) {
		c, err := s.lockCall(ctx, *r, call)
		if err != nil {
			return nil, err
		}
		at := now()
		asked := Approval{ID: newID(), RunID: run, ToolCallID: call, Decision: ApprovalPending, RequestedAt: at, ExpiresAt: at.Add(ttl)}
		var created bool
		if a, created, err = s.store.insertApproval(ctx, r.TenantID, asked); err != nil || !created {
			return nil, err
		}
		var drafts []event.Draft
		if r.Status == Running { // another call of the step may have made it wait already
			if drafts, err = r.Wait(c.Step, waitForApproval); err != nil {
				return nil, err
			}
		}
		return append(drafts, event.Draft{Type: event.ApprovalRequested, Data: event.ApprovalAsked{
			ApprovalID: a.ID, ToolCallID: c.ID, Step: c.Step, Name: c.Name, Arguments: jsonOrString(c.Arguments), ExpiresAt: a.ExpiresAt,
		}}), nil
	})
	if err != nil {
		return Approval{}, err
	}
	return a, s.announce(ctx, r, events)
}

// Answer is a human's decision on an approval.
type Answer struct {
	Decision  Decision        // Approved or Rejected
	Arguments json.RawMessage // a JSON object in place of the model's; none or null: as they are
	Reason    string
}

// arguments gives the edited arguments in the one form in which they are kept and compared; nil: none.
func (a Answer) arguments() (*string, error) {
	if len(a.Arguments) == 0 || string(a.Arguments) == "null" {
		return nil, nil
	}
	if a.Decision != Approved {
		return nil, fault.InvalidField("arguments", "only_with", "may be given only with an approval")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, a.Arguments); err != nil || compact.Bytes()[0] != '{' {
		return nil, fault.InvalidField("arguments", "object", "must be a JSON object")
	}
	text := compact.String()
	return &text, nil
}

// Resolve records a human's answer and tells the workflow. The same answer twice is one answer.
func (s *Service) Resolve(ctx context.Context, run, approval uuid.UUID, answer Answer) (Approval, error) {
	arguments, err := answer.arguments()
	if err != nil {
		return Approval{}, err
	}
	var a Approval
	_, _, err = s.change(ctx, run, func(ctx context.Context, r *Run) (drafts []event.Draft, err error) {
		if a, err = s.store.lockApproval(ctx, run, approval); err != nil {
			return nil, err
		}
		if r.Status.Final() && a.unanswered(*r) { // an answer that was given is still the answer
			return nil, fault.New(fault.RunFinal, "The run has ended: it is %s.", r.Status)
		}
		changed, err := a.Resolve(answer.Decision, arguments, answer.Reason, scope.From(ctx).Actor, now())
		if err != nil || !changed {
			return nil, err
		}
		return []event.Draft{a.resolved()}, s.store.updateApproval(ctx, a)
	})
	if err != nil {
		return Approval{}, err
	}
	if err := s.signalApproval(ctx, scope.Tenant(ctx), run, approval); err != nil {
		// The answer is recorded: the dispatcher repeats the signal until the engine hears it.
		s.Logger.WarnContext(ctx, "the engine did not hear an approval yet", "run_id", run, "error", err)
	}
	return a, nil
}

func (s *Service) signalApproval(ctx context.Context, tenant, run, approval uuid.UUID) error {
	if err := s.Engine.SignalApproval(ctx, tenant, run, approval); err != nil {
		return err
	}
	return s.store.markSignalled(ctx, approval)
}

// ApplyApproval makes an answer take effect: edited arguments enter the call, a refusal becomes the
// call's result, and the run goes on once nothing else waits. expire closes a question that nobody
// answered; an answer that came at the last moment stands. The decision is given; pending: still none. Of a run that
// has ended no answer takes effect: fault.RunFinal.
func (s *Service) ApplyApproval(ctx context.Context, run, approval uuid.UUID, expire bool) (Decision, error) {
	var a Approval
	r, events, err := s.change(ctx, run, func(ctx context.Context, r *Run) (drafts []event.Draft, err error) {
		if a, err = s.store.lockApproval(ctx, run, approval); err != nil {
			return nil, err
		}
		if r.Status.Final() { // whoever asks is about to make the call
			return nil, fault.New(fault.RunFinal, "The run has ended: it is %s.", r.Status)
		}
		if a.Decision == ApprovalPending {
			if !expire {
				return nil, nil
			}
			if _, err := a.Resolve(Expired, nil, "nobody answered in time", "system", now()); err != nil {
				return nil, err
			}
			if err := s.store.updateApproval(ctx, a); err != nil {
				return nil, err
			}
			drafts = append(drafts, a.resolved())
		}
		applied, err := s.apply(ctx, a)
		if err != nil {
			return nil, err
		}
		drafts = append(drafts, applied...)
		pending, err := s.store.approvalsPending(ctx, run)
		if err != nil || pending || r.Status != Waiting {
			return drafts, err
		}
		resumed, err := r.Resume(r.Step, waitForApproval)
		return append(drafts, resumed...), err
	})
	if err != nil {
		return "", err
	}
	return a.Decision, s.announce(ctx, r, events)
}

// closeApprovals closes the questions of a run that ends, within the transaction that ends it: nobody is to answer
// one of a run that does nothing any more. Only a run that waits has open ones.
func (s *Service) closeApprovals(ctx context.Context, r Run, at clock.Time) ([]event.Draft, error) {
	if r.Status != Waiting {
		return nil, nil
	}
	closed, err := s.store.expireApprovals(ctx, r.ID, "the run ended before anybody answered", at)
	drafts := make([]event.Draft, 0, len(closed))
	for _, a := range closed {
		drafts = append(drafts, a.resolved())
	}
	return drafts, err
}

func (s *Service) apply(ctx context.Context, a Approval) ([]event.Draft, error) {
	c, err := s.store.lockCall(ctx, a.ToolCallID)
	if err != nil || c.Status != ToolPending {
		return nil, err
	}
	if a.Decision == Approved {
		if a.Arguments == nil {
			return nil, nil
		}
		c.Arguments = *a.Arguments
		return nil, s.store.updateCall(ctx, c)
	}
	result := "A human refused this tool call."
	if a.Decision == Expired {
		result = "Nobody approved this tool call in time; it was not made."
	}
	if a.Reason != "" {
		result += " Reason: " + a.Reason
	}
	return s.endCall(ctx, c, ToolRejected, result)
}
