package runs

import (
	"context"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/platform/fault"
)

// supersede asks those before a run on its thread to stop, if it is to take their place and has to wait for
// them; it gives their ids. The wish is recorded with the run: the dispatcher repeats what nobody heard.
//
// What was said to an interrupted run stays on the thread. What is not there yet (all of a run that waited for its turn,
// and messages sent into one that was active) is added here, in the order of the runs and before what the new run says.
func (s *Service) supersede(ctx context.Context, r Run, hold Hold) ([]uuid.UUID, error) {
	if hold == "" || hold == HoldDelay || r.ThreadID == nil {
		return nil, nil
	}
	switch r.OnBusy {
	case BusyInterrupt:
		stopped, err := s.store.supersede(ctx, r, "interrupted by run "+r.ID.String(), false, now())
		if err != nil {
			return nil, err
		}
		for _, other := range stopped {
			if err := s.keepMessages(ctx, *r.ThreadID, other, r.ID); err != nil {
				return nil, err
			}
		}
		return idsOf(stopped), nil
	case BusyRollback:
		stopped, err := s.store.supersede(ctx, r, "rolled back by run "+r.ID.String(), true, now())
		return idsOf(stopped), err
	case BusyReject, BusyEnqueue:
	}
	return nil, nil
}

// superseded is a run that was asked to stop in favour of another one.
type superseded struct {
	id    uuid.UUID
	first bool           // nobody had asked it to stop before
	input []InputMessage // of one that waited for its turn, if it is the first
}

func idsOf(stopped []superseded) []uuid.UUID {
	ids := make([]uuid.UUID, len(stopped))
	for i, r := range stopped {
		ids[i] = r.id
	}
	return ids
}

// keepMessages adds what was said to a run to the thread, as far as it is not there yet.
func (s *Service) keepMessages(ctx context.Context, thread uuid.UUID, r superseded, by uuid.UUID) error {
	if !r.first {
		return nil
	}
	live, err := s.store.liveMessages(ctx, r.id, by)
	if err != nil || len(r.input)+len(live) == 0 {
		return err
	}
	return s.Threads.AppendMessages(ctx, thread, r.id, append(r.input, live...))
}

// stopSoon tells the workflows of runs that were asked to stop. What fails here is repeated by the dispatcher.
func (s *Service) stopSoon(ctx context.Context, ids []uuid.UUID) {
	if err := s.stopAll(ctx, ids); err != nil {
		s.Logger.WarnContext(ctx, "runs that were asked to stop did not all hear it yet", "error", err)
	}
}

// stopAll makes runs of the context's tenant stop that were asked to.
func (s *Service) stopAll(ctx context.Context, ids []uuid.UUID) error {
	var group errgroup.Group
	group.SetLimit(asked)
	for _, id := range ids {
		group.Go(func() error { return s.stop(ctx, id) })
	}
	return group.Wait()
}

// stop makes a run stop that was asked to: one that waits in the queue is ended here, any other by its workflow.
func (s *Service) stop(ctx context.Context, id uuid.UUID) error {
	r, err := s.store.find(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case err != nil:
		return err
	case r.Status.Final() || r.Cancel == nil:
		return nil
	case r.Status == Queued:
		_, err := s.finishOutside(ctx, id, func(now Run) (Outcome, bool) { return Outcome{Status: Cancelled}, now.Status == Queued })
		if err != nil {
			return err
		}
	default:
		if err := s.store.tellStop(ctx, id); err != nil {
			return err
		}
	}
	return s.Engine.CancelRun(ctx, r.TenantID, id)
}
