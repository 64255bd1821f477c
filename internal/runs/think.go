package runs

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/stream"
)

// Turn is what a step begins with: all that the model is shown. Recorded is set when the step has been
// taken before, and the model must not be asked again.
type Turn struct {
	Run      Run
	Steps    []Step        // the earlier ones
	Messages []LiveMessage // sent into the run so far
	Recorded *Taken
	Opening  *stream.Ticket // of the word that the step begins, which may not be in the log yet
	Limited  bool           // the step has to reserve what it may use at most
	Attempt  int            // what the deltas of this attempt are numbered with: more than those of any before
}

// Taken is what a recorded step leads to.
type Taken struct {
	Usage     event.Usage
	ToolCalls []ToolCall
	// More is set on an answer that does not end the run: a message came in while it was written.
	More bool
	// Failure is set when the run ends with the step and has no answer.
	Failure *Failure
}

// BeginStep opens a step: messages that wait are injected, the log says that the step begins, and, when
// an earlier attempt left half a message behind, that its deltas are void. again says that the step may
// have begun before although this is its first attempt: its workflow was reset.
//
// It is one round trip where nobody listens to steps: that one begins is then said with the next group
// commit, ahead of the step's text.
func (s *Service) BeginStep(ctx context.Context, id uuid.UUID, step, attempt int, again bool) (Turn, error) {
	begins, err := encode(id, now(), []event.Draft{begin(step)})
	if err != nil {
		return Turn{}, err
	}
	fresh := attempt == 1 && !again
	listeners, post := s.Outbox.Listen(scope.Tenant(ctx))
	var limited bool
	t, err := s.store.turn(ctx, id, step, fresh, s.look(ctx, &limited, listeners)...)
	if err != nil {
		return Turn{}, err
	}
	t.Attempt, t.Limited = attempt, limited
	for _, st := range t.Steps { // after a reset there may be later ones too
		if st.Number == step {
			taken := st.taken(t.Run)
			t.Recorded = &taken
			return t, nil
		}
	}
	if !fresh {
		return t, s.resume(ctx, &t, step, begins, post)
	}
	if s.heard(t.Run, post, begins[0]) {
		return t, s.open(ctx, t.Run, post, begins)
	}
	t.Opening, err = s.Log.AddLater(ctx, id, begin(step))
	return t, err
}

func begin(step int) event.Draft { return progress(event.PhaseStep, step, event.DetailBegin, "") }

// heard reports whether a connector is to be told of the event.
func (s *Service) heard(r Run, post Post, p pending) bool {
	_, _, ok := post(r, lifecycle([]pending{p}))
	return ok || s.Announcer.Wants(r, p.event())
}

// open appends what a step begins with and tells the connectors.
func (s *Service) open(ctx context.Context, r Run, post Post, batch []pending) error {
	if len(batch) == 0 {
		return nil
	}
	var events []event.Event
	statements := []postgres.Statement{s.store.appendStatement(r.TenantID, batch, &events, new(string))}
	statement, committed, ok := post(r, lifecycle(batch))
	if ok {
		statements = append(statements, statement)
	}
	if err := s.DB.Batch(ctx, statements...); err != nil {
		return err
	}
	if ok {
		committed()
	}
	s.Log.publish(events)
	return s.announce(ctx, r, events)
}

// resume opens a step that an earlier attempt may have opened before.
func (s *Service) resume(ctx context.Context, t *Turn, step int, begins []pending, post Post) error {
	begun, half, last, err := s.store.traces(ctx, t.Run.ID, step)
	if err != nil {
		return err
	}
	t.Attempt = max(t.Attempt, last+1)
	if t.Messages, err = s.store.inject(ctx, t.Run.ID, step); err != nil {
		return err
	}
	var batch []pending
	if begun == 0 {
		batch = append(batch, begins...)
	}
	if half {
		restarted, err := encode(t.Run.ID, now(), []event.Draft{{Type: event.AttemptRestarted, Data: event.Restarted{
			MessageID: MessageID(t.Run.ID, step), Step: step, Attempt: t.Attempt,
		}}})
		if err != nil {
			return err
		}
		batch = append(batch, restarted...)
	}
	return s.open(ctx, t.Run, post, batch)
}

// RecordStep writes what the model said and asked for, behind the last of its deltas. Recorded twice it is
// recorded once, and the first record stands.
func (s *Service) RecordStep(ctx context.Context, step Step, deltas ...event.Draft) (Taken, error) {
	var taken Taken
	var done inserted
	var passed []string
	r, events, err := s.change(ctx, step.RunID, func(ctx context.Context, r *Run) ([]event.Draft, error) {
		if r.Status.Final() {
			return nil, fault.New(fault.RunFinal, "The run has ended: it is %s.", r.Status)
		}
		if !done.created {
			recorded, err := s.recorded(ctx, *r, step.Number)
			if taken = recorded; err == nil { // what this attempt has reserved beside the first one
				err = s.count(ctx, Step{RunID: step.RunID, Number: step.Number}, &passed)
			}
			return nil, err
		}
		taken = Taken{Usage: step.Usage, ToolCalls: step.ToolCalls}
		r.Step, r.Usage = step.Number, r.Usage.Add(step.Usage)
		taken.Failure = step.failure()
		if len(step.ToolCalls) == 0 || taken.Failure != nil {
			taken.More = done.waiting && len(step.ToolCalls) == 0
			switch { // under the run's lock: a message that comes later finds the intake closed
			case taken.More:
				taken.Failure = nil
			case taken.Failure != nil:
				r.IntakeClosed, r.FinishReason = true, step.Finish
			default:
				r.IntakeClosed, r.FinishReason, r.Output = true, step.Finish, &step.Content
			}
		}
		if err := s.count(ctx, step, &passed); err != nil {
			return nil, err
		}
		return append(slices.Clip(deltas), step.drafts(false)...), nil
	}, insertStepStatement(scope.Tenant(ctx), step, &done))
	if err != nil {
		return Taken{}, err
	}
	if err := s.announce(ctx, r, events); err != nil {
		return Taken{}, err
	}
	s.warn(ctx, step, passed)
	return taken, nil
}

// taken is what a recorded step led to.
func (st Step) taken(r Run) Taken {
	taken := Taken{Usage: st.Usage, ToolCalls: st.ToolCalls, More: !r.IntakeClosed && len(st.ToolCalls) == 0}
	if r.IntakeClosed && r.Output == nil {
		taken.Failure = st.failure()
	}
	return taken
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
	_, _, err := s.change(ctx, step.RunID, func(ctx context.Context, r *Run) ([]event.Draft, error) {
		if err := s.count(ctx, step, new([]string)); err != nil || r.Status.Final() { // it is billed all the same
			return nil, err
		}
		r.Step, r.Usage = max(r.Step, step.Number), r.Usage.Add(step.Usage)
		if err := s.store.setPartialModel(ctx, step.RunID, step.Model); err != nil {
			return nil, err
		}
		return append(slices.Clip(deltas), step.drafts(true)...), nil
	})
	return err
}

func (st Step) drafts(partial bool) []event.Draft {
	var drafts []event.Draft
	reason := st.Finish
	if partial { // the model did not stop: it was stopped
		reason = ""
	}
	if st.Content != "" || !partial && len(st.ToolCalls) == 0 {
		drafts = append(drafts, event.Draft{Type: event.MessageCompleted, Data: event.Message{
			MessageID: MessageID(st.RunID, st.Number), Step: st.Number, Text: st.Content, Partial: partial, FinishReason: reason, Usage: st.Usage,
		}})
	}
	for _, c := range st.ToolCalls {
		if c.IsUnfinished() {
			drafts = append(drafts, event.Draft{Type: event.ToolCallCompleted, Data: event.ToolCompleted{
				ToolCallID: c.ID, Step: c.Step, Name: c.Name, Error: c.Result,
			}})
		}
	}
	end := event.Progress{Phase: event.PhaseStep, Step: st.Number, Detail: event.DetailEnd, Usage: &st.Usage, FinishReason: reason}
	return append(drafts, event.Draft{Type: event.RunProgress, Data: end})
}
