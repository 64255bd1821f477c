package runs

import (
	"cmp"
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

// Retry asks for a run that has ended to be made again, as a new run with the same input and limits.
type Retry struct {
	ID     uuid.UUID `json:"-"` // chosen by the caller, for idempotency; zero: a new one
	OnBusy OnBusy    `json:"on_busy,omitempty" validate:"omitempty,oneof=reject enqueue interrupt rollback" enum:"reject,enqueue,interrupt,rollback" default:"reject" description:"What to do when the run's thread has an active run."`
}

// Retry makes a run again, with the agent as it is now. What a failed run left at the end of its thread gives
// way to the new one. A run that has not ended is fault.Conflict.
func (s *Service) Retry(ctx context.Context, id uuid.UUID, in Retry) (Run, error) {
	of, err := s.store.find(ctx, id)
	switch {
	case err != nil:
		return Run{}, err
	case !of.Status.Final():
		return Run{}, fault.New(fault.Conflict, "The run has not ended: it is %s.", of.Status)
	}
	r, err := s.like(ctx, of, in.ID)
	if err != nil {
		return Run{}, err
	}
	r.RetryOf, r.ThreadID, r.OnBusy = &of.ID, of.ThreadID, cmp.Or(in.OnBusy, BusyReject)
	if of.ThreadID == nil || of.Status == Completed {
		return s.begin(ctx, r, nil)
	}
	return s.begin(ctx, r, func(ctx context.Context) error {
		return s.Threads.WithdrawMessages(ctx, *of.ThreadID, of.ID)
	})
}

// like gives a new run with the input and limits of another one, and its agent as it is now.
func (s *Service) like(ctx context.Context, of Run, id uuid.UUID) (Run, error) {
	agent, err := s.Agents.ResolveAgent(ctx, of.AgentID.String())
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.Conflict, "The run's agent is not there any more.")
	}
	if err == nil {
		err = agent.Unusable
	}
	if err != nil {
		return Run{}, err
	}
	if of.WebhookURL != "" {
		if err := s.CheckURL(of.WebhookURL); err != nil {
			return Run{}, webhookFault(err)
		}
	}
	if id == uuid.Nil {
		id = newID()
	}
	return s.sign(ctx, Run{
		ID: id, WorkspaceID: of.WorkspaceID, AgentID: agent.ID, AgentVersion: agent.Version, Status: Queued, Input: of.Input,
		Metadata: of.Metadata, Limits: of.Limits, WebhookURL: of.WebhookURL, OnBusy: BusyReject, CreatedAt: now(),
	}, agent), nil
}

// Fork asks for a new run that begins with the first steps of another one.
type Fork struct {
	ID    uuid.UUID `json:"-"` // chosen by the caller, for idempotency; zero: a new one
	Step  int       `json:"step" validate:"required,min=1,max=100" description:"The first step of its own; the recorded steps before it are taken over. 1: only the input." example:"2"`
	Input string    `json:"input,omitempty" validate:"max=200000" description:"What the user says before that step. Required where the step before it ended with an answer."`
}

// Fork makes a new run that begins with the recorded steps of another one before a step, and goes on from there
// by itself. It belongs to no thread: what had been said on the other run's thread is part of its input. The
// steps that it takes over are not billed again.
func (s *Service) Fork(ctx context.Context, id uuid.UUID, in Fork) (Run, error) {
	of, err := s.store.find(ctx, id)
	if err != nil {
		return Run{}, err
	}
	steps, err := s.store.steps(ctx, id)
	if err != nil {
		return Run{}, err
	}
	if err := in.check(steps); err != nil {
		return Run{}, err
	}
	r, err := s.like(ctx, of, in.ID)
	if err != nil {
		return Run{}, err
	}
	r.ForkedFrom, r.ForkedStep, r.Step = &of.ID, in.Step, in.Step-1
	if of.ThreadID != nil {
		before, err := s.Threads.MessagesBefore(ctx, *of.ThreadID, of.ID)
		if err != nil {
			return Run{}, err
		}
		r.Input = append(before, r.Input...)
	}
	return s.begin(ctx, r, func(ctx context.Context) error { return s.takeOver(ctx, of.ID, r, in) })
}

func (in Fork) check(steps []Step) error {
	if in.Step > len(steps)+1 {
		return fault.InvalidField("step", "recorded", "must be at most %d: the run has %d recorded steps", len(steps)+1, len(steps))
	}
	if in.Step == 1 {
		return nil
	}
	before := steps[in.Step-2]
	if len(before.ToolCalls) == 0 && in.Input == "" {
		return fault.InvalidField("input", "required", "is required: step %d ended with an answer", before.Number)
	}
	for _, st := range steps[:in.Step-1] {
		for _, c := range st.ToolCalls {
			if !c.Status.Ended() {
				return fault.New(fault.Conflict, "The tool calls of step %d have not all ended.", st.Number)
			}
		}
	}
	return nil
}

// takeOver copies the steps of a run before the fork, what was said to it until then, and adds the new input.
func (s *Service) takeOver(ctx context.Context, of uuid.UUID, r Run, in Fork) error {
	var said []LiveMessage
	if err := s.DB.Batch(ctx, copyStepsStatement(of, r.ID, in.Step), copyCallsStatement(of, r.ID, in.Step),
		copyProviderDataStatement(of, r.ID, in.Step), messagesStatement(of, &said)); err != nil {
		return err
	}
	var copied []LiveMessage
	for _, m := range said {
		if m.Step != nil && *m.Step < in.Step {
			m.ID = newID()
			copied = append(copied, m)
		}
	}
	if in.Input != "" {
		copied = append(copied, LiveMessage{ID: newID(), Content: in.Input, CreatedBy: scope.From(ctx).Actor, CreatedAt: r.CreatedAt})
	}
	for _, m := range copied {
		if _, err := s.store.insertMessage(ctx, r.TenantID, r.ID, m); err != nil {
			return err
		}
	}
	return nil
}
