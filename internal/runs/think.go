package runs

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
)

// Turn is what a step begins with: all that the model is shown. Recorded is set when the step has been
// taken before, and the model must not be asked again.
type Turn struct {
	Run      Run
	Steps    []Step        // the earlier ones
	Messages []LiveMessage // sent into the run so far
	Recorded *Taken
}

// Taken is what a recorded step leads to.
type Taken struct {
	Usage     event.Usage
	ToolCalls []ToolCall
	// More is set on an answer that does not end the run: a message came in while it was written.
	More bool
}

// BeginStep opens a step: messages that wait are injected, the log says that the step begins, and, when
// an earlier attempt left half a message behind, that its deltas are void.
func (s *Service) BeginStep(ctx context.Context, id uuid.UUID, step, attempt int) (Turn, error) {
	r, err := s.store.find(ctx, id)
	if err != nil {
		return Turn{}, err
	}
	if r.Status.Final() {
		return Turn{}, fault.New(fault.RunFinal, "The run has ended: it is %s.", r.Status)
	}
	t := Turn{Run: r}
	if step > 1 || attempt > 1 {
		if t.Steps, err = s.store.steps(ctx, id); err != nil {
			return Turn{}, err
		}
	}
	if n := len(t.Steps); n > 0 && t.Steps[n-1].Number >= step {
		t.Recorded = &Taken{Usage: t.Steps[n-1].Usage, ToolCalls: t.Steps[n-1].ToolCalls, More: !r.IntakeClosed && len(t.Steps[n-1].ToolCalls) == 0}
		return t, nil
	}
	if t.Messages, err = s.store.injectMessages(ctx, id, step); err != nil {
		return Turn{}, err
	}
	draft := progress(event.PhaseStep, step, event.DetailBegin, "")
	if attempt > 1 {
		half, err := s.store.halfWritten(ctx, id, step)
		if err != nil {
			return Turn{}, err
		}
		if half {
			draft = event.Draft{Type: event.AttemptRestarted, Data: event.Restarted{MessageID: MessageID(id, step), Step: step, Attempt: attempt}}
		}
	}
	_, err = s.Log.Add(ctx, id, draft)
	return t, err
}

// RecordStep writes what the model said and asked for. Recorded twice it is recorded once, and the
// first record stands.
func (s *Service) RecordStep(ctx context.Context, step Step) (Taken, error) {
	var taken Taken
	r, events, err := s.change(ctx, step.RunID, func(ctx context.Context, r *Run) ([]event.Draft, error) {
		if r.Status.Final() {
			return nil, fault.New(fault.RunFinal, "The run has ended: it is %s.", r.Status)
		}
		created, err := s.store.insertStep(ctx, r.TenantID, step)
		if err != nil {
			return nil, err
		}
		if !created {
			recorded, err := s.recorded(ctx, *r, step.Number)
			taken = recorded
			return nil, err
		}
		taken = Taken{Usage: step.Usage, ToolCalls: step.ToolCalls}
		r.Step, r.Usage = step.Number, r.Usage.Add(step.Usage)
		if len(step.ToolCalls) == 0 {
			if taken.More, err = s.store.messagesWait(ctx, r.ID); err != nil {
				return nil, err
			}
			// Under the run's lock: a message that comes later finds the intake closed.
			r.IntakeClosed = !taken.More
		}
		return step.drafts(false), nil
	})
	if err != nil {
		return Taken{}, err
	}
	return taken, s.announce(ctx, r, events)
}

func (s *Service) recorded(ctx context.Context, r Run, number int) (Taken, error) {
	steps, err := s.store.steps(ctx, r.ID)
	if err != nil {
		return Taken{}, err
	}
	for _, st := range steps {
		if st.Number == number {
			return Taken{Usage: st.Usage, ToolCalls: st.ToolCalls, More: !r.IntakeClosed && len(st.ToolCalls) == 0}, nil
		}
	}
	return Taken{}, fault.New(fault.Internal, "step %d of run %s is and is not recorded", number, r.ID)
}

// RecordPartial writes what a step had said and cost when it was stopped.
func (s *Service) RecordPartial(ctx context.Context, step Step) error {
	_, _, err := s.change(ctx, step.RunID, func(_ context.Context, r *Run) ([]event.Draft, error) {
		if r.Status.Final() {
			return nil, nil
		}
		r.Step, r.Usage = max(r.Step, step.Number), r.Usage.Add(step.Usage)
		return step.drafts(true), nil
	})
	return err
}

func (st Step) drafts(partial bool) []event.Draft {
	var drafts []event.Draft
	if st.Content != "" || !partial && len(st.ToolCalls) == 0 {
		drafts = append(drafts, event.Draft{Type: event.MessageCompleted, Data: event.Message{
			MessageID: MessageID(st.RunID, st.Number), Step: st.Number, Text: st.Content, Partial: partial, Usage: st.Usage,
		}})
	}
	end := event.Progress{Phase: event.PhaseStep, Step: st.Number, Detail: event.DetailEnd, Usage: &st.Usage}
	return append(drafts, event.Draft{Type: event.RunProgress, Data: end})
}
