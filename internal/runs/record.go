package runs

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
)

// The methods of this file are what the lifecycle interceptor's activities call. Each may be called
// again with the same arguments, after a crash or a lost answer, and then changes nothing.

// Started records that the workflow has begun. It gives the run as it is: one that ended before
// (cancelled in the queue) must not be executed. Neither must one that is held, which no workflow of its own was
// started for: whoever asks is that of a run of the same id that was taken back (fault.Conflict).
func (s *Service) Started(ctx context.Context, id uuid.UUID) (Run, error) {
	var early []LiveMessage
	r, events, err := s.change(ctx, id, func(_ context.Context, r *Run) ([]event.Draft, error) {
		if r.Status != Queued {
			return nil, nil
		}
		if r.Held != nil {
			return nil, fault.New(fault.Conflict, "The run is held: its workflow is started when nothing holds it any more.")
		}
		drafts, err := r.Start(now())
		for _, m := range early {
			drafts = append(drafts, m.received())
		}
		return drafts, err
	}, messagesStatement(id, &early))
	if err != nil {
		return Run{}, err
	}
	if events == nil { // recorded before; its announcement may have been lost
		if events, err = s.store.lifecycleEvents(ctx, r.TenantID, r.ID); err != nil {
			return Run{}, err
		}
	}
	return r, s.announce(ctx, r, events)
}

// Finished records how the run ended. The first outcome stands: a later one changes nothing.
func (s *Service) Finished(ctx context.Context, id uuid.UUID, o Outcome) (Run, error) {
	r, events, err := s.change(ctx, id, func(ctx context.Context, r *Run) ([]event.Draft, error) {
		if r.Status.Final() {
			return nil, nil
		}
		output, err := s.output(ctx, *r, o)
		if err != nil {
			return nil, err
		}
		if err := s.free(ctx, r.ID); err != nil {
			return nil, err
		}
		at := now()
		closed, err := s.closeApprovals(ctx, *r, at)
		if err != nil {
			return nil, err
		}
		end, err := r.Finish(o, output, at)
		if err == nil && r.Status == Failed {
			r.Output, err = s.partOfAnswer(ctx, *r)
		}
		return append(closed, end...), err
	})
	if err != nil {
		return Run{}, err
	}
	if events == nil {
		if events, err = s.store.lifecycleEvents(ctx, r.TenantID, r.ID); err != nil {
			return Run{}, err
		}
	}
	return r, s.announce(ctx, r, events)
}

// partOfAnswer returns what there is of the answer of a run that failed because a limit cut it off; nil for another.
func (s *Service) partOfAnswer(ctx context.Context, r Run) (*string, error) {
	if r.Error.Code != event.ErrorBudget && r.Error.Code != event.ErrorQuota {
		return nil, nil
	}
	text, err := s.store.cutOff(ctx, r.ID, r.Step)
	if err != nil || text == "" {
		return nil, err
	}
	return &text, nil
}

// output returns the answer of a run that completes, and adds what was said to the run while it was active and that
// answer to the run's thread. The thread forgets a run that another one rolled back. A blank answer is not added:
// strict providers would refuse every later run of the thread for it.
func (s *Service) output(ctx context.Context, r Run, o Outcome) (string, error) {
	text := ""
	if o.Status == Completed && r.Output != nil {
		text = *r.Output
	}
	switch {
	case r.ThreadID == nil:
		return text, nil
	case r.RolledBack:
		return text, s.Threads.WithdrawMessages(ctx, *r.ThreadID, r.ID)
	case r.Held != nil: // it never came to its thread, or another run that took its place brought its messages there
		return "", nil
	}
	messages, err := s.store.liveMessages(ctx, r.ID, uuid.Nil)
	if strings.TrimSpace(text) != "" {
		messages = append(messages, InputMessage{Role: "assistant", Content: text})
	}
	if err != nil || len(messages) == 0 {
		return text, err
	}
	return text, s.Threads.AppendMessages(ctx, *r.ThreadID, r.ID, messages)
}

// EventAt gives one event of a run's log with the run, for a delivery that happens later.
func (s *Service) EventAt(ctx context.Context, id uuid.UUID, seq int64) (Run, event.Event, error) {
	r, err := s.store.find(ctx, id)
	if err != nil {
		return Run{}, event.Event{}, err
	}
	events, err := s.store.events(ctx, r.TenantID, id, seq-1, 1)
	switch {
	case err != nil:
		return Run{}, event.Event{}, err
	case len(events) == 0 || events[0].Seq != seq:
		return Run{}, event.Event{}, fault.New(fault.NotFound, "The log of run %s has no event %d.", id, seq)
	}
	return r, events[0], nil
}

// Summarise writes the compact record of an ended run into its row, for people who look at many: steps,
// tool calls, and how long it was queued, ran and took to stop.
func (s *Service) Summarise(ctx context.Context, id uuid.UUID) error {
	found, err := s.store.summarise(ctx, id)
	if err == nil && !found {
		err = fault.New(fault.NotFound, "There is no ended run %s.", id)
	}
	return err
}
