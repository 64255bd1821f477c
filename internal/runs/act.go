package runs

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
)

// BeginCall says that a tool begins and gives the call with its run. A call that has its result already
// is given back as it is. Begun again, after a crash or a failure, it counts another try and says nothing more. A run
// that has ended makes no call: fault.RunFinal.
func (s *Service) BeginCall(ctx context.Context, run, call uuid.UUID) (Run, ToolCall, error) {
	var c ToolCall
	r, events, err := s.change(ctx, run, func(ctx context.Context, r *Run) (drafts []event.Draft, err error) {
		if c, err = s.lockCall(ctx, *r, call); err != nil || c.Status.Ended() {
			return nil, err
		}
		if r.Status.Final() {
			return nil, fault.New(fault.RunFinal, "The run has ended: it is %s.", r.Status)
		}
		begun := c.Status == ToolRunning
		if !begun {
			at := now()
			c.Status, c.StartedAt = ToolRunning, &at
		}
		c.Tries++
		if err := s.store.updateCall(ctx, c); err != nil || begun {
			return nil, err
		}
		return []event.Draft{
			progress(event.PhaseToolCall, c.Step, event.DetailBegin, c.Name),
			{Type: event.ToolCallStarted, Data: event.ToolStarted{ToolCallID: c.ID, Step: c.Step, Name: c.Name, Arguments: jsonOrString(c.Arguments)}},
		}, nil
	})
	if err != nil {
		return Run{}, ToolCall{}, err
	}
	return r, c, s.announce(ctx, r, events)
}

// EndCall records a tool's result: text for the model, or what went wrong.
func (s *Service) EndCall(ctx context.Context, run, call uuid.UUID, status ToolStatus, result string) error {
	r, events, err := s.change(ctx, run, func(ctx context.Context, r *Run) ([]event.Draft, error) {
		c, err := s.lockCall(ctx, *r, call)
		if err != nil || c.Status.Ended() || r.Status.Final() {
			return nil, err
		}
		return s.endCall(ctx, c, status, result)
	})
	if err != nil {
		return err
	}
	return s.announce(ctx, r, events)
}

func (s *Service) endCall(ctx context.Context, c ToolCall, status ToolStatus, result string) ([]event.Draft, error) {
	at := now()
	c.Status, c.Result, c.FinishedAt = status, result, &at
	if err := s.store.updateCall(ctx, c); err != nil {
		return nil, err
	}
	done := event.ToolCompleted{ToolCallID: c.ID, Step: c.Step, Name: c.Name}
	if status == ToolCompleted {
		done.Result = result
	} else {
		done.Error = result
	}
	if c.StartedAt == nil {
		return []event.Draft{{Type: event.ToolCallCompleted, Data: done}}, nil
	}
	done.DurationMS = at.Sub(*c.StartedAt).Milliseconds()
	return []event.Draft{
		{Type: event.ToolCallCompleted, Data: done},
		progress(event.PhaseToolCall, c.Step, event.DetailEnd, c.Name),
	}, nil
}

func (s *Service) lockCall(ctx context.Context, r Run, call uuid.UUID) (ToolCall, error) {
	c, err := s.store.lockCall(ctx, call)
	if err == nil && c.RunID != r.ID {
		err = fault.New(fault.NotFound, "The run has no tool call %s.", call)
	}
	return c, err
}
