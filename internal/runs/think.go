package runs

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

// Turn is what a step begins with: all that the model is shown. Recorded is set when the step has been
// taken before, and the model must not be asked again.
type Turn struct {
	Run      Run
	Steps    []Step        // the earlier ones
	Messages []LiveMessage // sent into the run so far
	Recorded *Taken
	Attempt  int // what the deltas of this attempt are numbered with: more than those of any before
}

// Taken is what a recorded step leads to.
type Taken struct {
	Usage     event.Usage
	ToolCalls []ToolCall
	// More is set on an answer that does not end the run: a message came in while it was written.
	More bool
}

// BeginStep opens a step: messages that wait are injected, the log says that the step begins, and, when
// an earlier attempt left half a message behind, that its deltas are void. again says that the step may
// have begun before although this is its first attempt: its workflow was reset.
//
// It is one round trip where nobody outside listens to steps. Where somebody does, the outbox follows in
// another: an attempt that fails between the two is followed by one that posts again.
func (s *Service) BeginStep(ctx context.Context, id uuid.UUID, step, attempt int, again bool) (Turn, error) {
	begins, err := encode(id, now(), []event.Draft{progress(event.PhaseStep, step, event.DetailBegin, "")})
	if err != nil {
		return Turn{}, err
	}
	fresh := attempt == 1 && !again
	var opens []pending
	if fresh {
		opens = begins
	}
	listeners, post := s.Outbox.Listen(scope.Tenant(ctx))
	t, events, err := s.store.turn(ctx, id, step, opens, listeners)
	if err != nil {
		return Turn{}, err
	}
	t.Attempt = attempt
	for _, st := range t.Steps { // after a reset there may be later ones too
		if st.Number == step {
			taken := st.taken(t.Run)
			t.Recorded = &taken
		}
	}
	begun := begins[0].event(0)
	if !fresh && t.Recorded == nil {
		if begun.Seq, events, err = s.resume(ctx, &t, step, begins); err != nil {
			return Turn{}, err
		}
	}
	if len(events) > 0 && events[0].Type == begun.Type {
		begun.Seq = events[0].Seq
	}
	s.Log.publish(events)
	if begun.Seq > 0 {
		if err := s.post(ctx, t.Run, post, begun); err != nil {
			return Turn{}, err
		}
	}
	return t, s.announce(ctx, t.Run, events)
}

// resume opens a step that an earlier attempt may have opened before; begun is where, zero for nowhere.
func (s *Service) resume(ctx context.Context, t *Turn, step int, begins []pending) (begun int64, events []event.Event, err error) {
	begun, half, last, err := s.store.traces(ctx, t.Run.ID, step)
	if err != nil {
		return 0, nil, err
	}
	t.Attempt = max(t.Attempt, last+1)
	var batch []pending
	if begun == 0 {
		batch = append(batch, begins...)
	}
	if half {
		restarted, err := encode(t.Run.ID, now(), []event.Draft{{Type: event.AttemptRestarted, Data: event.Restarted{
			MessageID: MessageID(t.Run.ID, step), Step: step, Attempt: t.Attempt,
		}}})
		if err != nil {
			return 0, nil, err
		}
		batch = append(batch, restarted...)
	}
	events, err = s.store.reopen(ctx, t, step, batch)
	return begun, events, err
}

// RecordStep writes what the model said and asked for, behind the last of its deltas. Recorded twice it is
// recorded once, and the first record stands.
func (s *Service) RecordStep(ctx context.Context, step Step, deltas ...event.Draft) (Taken, error) {
	var taken Taken
	var done inserted
	r, events, err := s.change(ctx, step.RunID, func(ctx context.Context, r *Run) ([]event.Draft, error) {
		if r.Status.Final() {
			return nil, fault.New(fault.RunFinal, "The run has ended: it is %s.", r.Status)
		}
		if !done.created {
			recorded, err := s.recorded(ctx, *r, step.Number)
			taken = recorded
			return nil, err
		}
		taken = Taken{Usage: step.Usage, ToolCalls: step.ToolCalls}
		r.Step, r.Usage = step.Number, r.Usage.Add(step.Usage)
		if len(step.ToolCalls) == 0 {
			taken.More = done.waiting
			if !taken.More { // under the run's lock: a message that comes later finds the intake closed
				r.IntakeClosed, r.Output = true, &step.Content
			}
		}
		return append(slices.Clip(deltas), step.drafts(false)...), nil
	}, insertStepStatement(scope.Tenant(ctx), step, &done))
	if err != nil {
		return Taken{}, err
	}
	return taken, s.announce(ctx, r, events)
}

// taken is what a recorded step led to.
func (st Step) taken(r Run) Taken {
	return Taken{Usage: st.Usage, ToolCalls: st.ToolCalls, More: !r.IntakeClosed && len(st.ToolCalls) == 0}
}

func (s *Service) recorded(ctx context.Context, r Run, number int) (Taken, error) {
	steps, err := s.store.steps(ctx, r.ID)
	if err != nil {
		return Taken{}, err
	}
	for _, st := range steps {
		if st.Number == number {
			return st.taken(r), nil
		}
	}
	return Taken{}, fault.New(fault.Internal, "step %d of run %s is and is not recorded", number, r.ID)
}

// RecordPartial writes what a step had said and cost when it was stopped, behind the last of its deltas.
func (s *Service) RecordPartial(ctx context.Context, step Step, deltas ...event.Draft) error {
	_, _, err := s.change(ctx, step.RunID, func(_ context.Context, r *Run) ([]event.Draft, error) {
		if r.Status.Final() {
			return nil, nil
		}
		r.Step, r.Usage = max(r.Step, step.Number), r.Usage.Add(step.Usage)
		return append(slices.Clip(deltas), step.drafts(true)...), nil
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
