package runs

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// The methods of this file end runs whose workflow cannot. A run that ends this way owes the connectors
// its announcement, and that debt is recorded with the end: a crash in between loses nothing, the
// reconciler pays it.

// Settle compares a run of the tenant with its workflow, of which the engine says that it closed, and ends
// the run if that has no end. nil means that nothing is left to do: the end is recorded, and its announcement
// made or owed.
func (s *Service) Settle(ctx context.Context, id uuid.UUID) error {
	r, told, err := s.store.findEnd(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound): // taken back before its workflow found it
		return nil
	case err != nil:
		return err
	case r.status.Final() && told != nil:
		return nil
	}
	_, err = s.settle(ctx, r)
	return err
}

// settle asks the engine what became of the run's workflow and follows it. It gives the ending that it had
// to follow, EndingStuck for a workflow that is, and "" when the run stood as it should.
func (s *Service) settle(ctx context.Context, r suspect) (Ending, error) {
	if r.held { // what the engine knows by its id is of a run that was taken back before it was asked for again
		return "", nil
	}
	fate, err := s.Engine.FindFate(ctx, r.tenant, r.id)
	switch {
	case err != nil:
		return "", err
	case fate.Ending == EndingStuck:
		s.Observer.Reconciled(EndingStuck)
		return EndingStuck, nil
	case !fate.Ending.Ended():
		return "", s.signalAfterReset(ctx, r.id, fate)
	case r.status == Queued && fate.Ending.lost():
		if again, err := s.startAgain(ctx, r, fate); again || err != nil {
			return "", err
		}
	}
	var followed bool
	if r.status.Final() {
		followed, err = s.tellKilled(ctx, r.id, fate)
	} else {
		followed, err = s.finishOutside(ctx, r.id, func(now Run) (o Outcome, ends bool) {
			if r.status == Queued && (now.Status != Queued || now.Held != nil) { // another workflow has begun it meanwhile
				return Outcome{}, false
			}
			return fate.outcome(now), true
		})
	}
	if !followed || err != nil {
		return "", err
	}
	s.Logger.WarnContext(ctx, "a run was ended that its workflow could not end", "run_id", r.id, "tenant_id", r.tenant,
		"workflow", fate.Ending, "reason", fate.Reason)
	s.Observer.Reconciled(fate.Ending)
	return fate.Ending, nil
}

// maxRestarts is how often a run is started again whose workflow was lost before the run began.
const maxRestarts = 3

// startAgain hands a queued run whose workflow was lost back to the dispatcher; again is false when that has been
// done too often, or the run is queued no longer.
func (s *Service) startAgain(ctx context.Context, r suspect, fate Fate) (again bool, err error) {
	if again, err = s.store.undispatch(ctx, r.id, maxRestarts); !again || err != nil {
		return false, err
	}
	s.Logger.WarnContext(ctx, "a run is started again whose workflow was lost before it began", "run_id", r.id, "tenant_id", r.tenant, "workflow", fate.Ending)
	s.Observer.Reconciled(fate.Ending)
	return true, nil
}

// resetSlack is how far the clocks of Temporal and of the database may be apart for signals of before a reset to be
// told from later ones. One signal too many does no harm.
const resetSlack = 10 * time.Second

// signalAfterReset lets answers be signalled again to a workflow that was reset: a reset may leave out what was
// signalled before it, and the workflow would wait for an answer that was given.
func (s *Service) signalAfterReset(ctx context.Context, id uuid.UUID, fate Fate) error {
	if fate.ResetAt.IsZero() {
		return nil
	}
	return s.store.forgetSignals(ctx, id, fate.ResetAt.Add(resetSlack))
}

// tellKilled announces the end of a run that has one: its workflow was closed right after it recorded that,
// and perhaps before it told anybody.
func (s *Service) tellKilled(ctx context.Context, id uuid.UUID, fate Fate) (told bool, err error) {
	if !fate.Ending.killed() {
		return false, nil
	}
	claimed, err := s.store.oweEnd(ctx, id)
	if err != nil || !claimed {
		return false, err
	}
	return true, s.tellAll(ctx, id)
}

// finishOutside ends a run that has not ended, unless how says otherwise, and tells the connectors; ended is false
// when it did not.
func (s *Service) finishOutside(ctx context.Context, id uuid.UUID, how func(Run) (o Outcome, ends bool)) (ended bool, err error) {
	r, events, err := s.change(ctx, id, func(ctx context.Context, r *Run) ([]event.Draft, error) {
		if r.Status.Final() { // the first outcome stands
			return nil, nil
		}
		o, ends := how(*r)
		if !ends {
			return nil, nil
		}
		return s.endOutside(ctx, r, o, now())
	})
	if err != nil || len(events) == 0 {
		return false, err
	}
	return true, s.tellAll(ctx, r.ID)
}

// endOutside ends a run within its transaction and notes what is owed.
func (s *Service) endOutside(ctx context.Context, r *Run, o Outcome, at clock.Time) ([]event.Draft, error) {
	output, err := s.output(ctx, *r, o)
	if err != nil {
		return nil, err
	}
	closed, err := s.closeApprovals(ctx, *r, at)
	if err != nil {
		return nil, err
	}
	end, err := r.Finish(o, output, at)
	if err != nil {
		return nil, err
	}
	if err := s.free(ctx, r.ID); err != nil {
		return nil, err
	}
	_, err = s.store.oweEnd(ctx, r.ID)
	return append(closed, end...), err
}

// tellAll announces start and end: whether the workflow got to announce the start nobody knows.
func (s *Service) tellAll(ctx context.Context, id uuid.UUID) error {
	r, err := s.store.find(ctx, id)
	if err != nil {
		return err
	}
	events, err := s.store.lifecycleEvents(ctx, r.TenantID, r.ID)
	if err != nil {
		return err
	}
	return s.tell(ctx, r, events)
}

func (s *Service) tell(ctx context.Context, r Run, events []event.Event) error {
	if err := s.announce(ctx, r, events); err != nil {
		return err
	}
	return s.store.endTold(ctx, r.ID)
}
