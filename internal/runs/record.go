package runs

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
)

// The methods of this file are what the lifecycle interceptor's activities call. Each may be called
// again with the same arguments, after a crash or a lost answer, and then changes nothing.

// Started records that the workflow has begun. It gives the run as it is: one that ended before
// (cancelled in the queue) must not be executed.
func (s *Service) Started(ctx context.Context, id uuid.UUID) (Run, error) {
	r, events, err := s.change(ctx, id, func(_ context.Context, r *Run) ([]event.Draft, error) {
		if r.Status != Queued {
			return nil, nil
		}
		return r.Start(now())
	})
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
		return r.Finish(o, output, now())
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

// output gives the answer of a run that completes and adds it to the run's thread.
func (s *Service) output(ctx context.Context, r Run, o Outcome) (string, error) {
	if o.Status != Completed {
		return "", nil
	}
	text, err := s.store.lastContent(ctx, r.ID)
	if err != nil || r.ThreadID == nil {
		return text, err
	}
	err = s.Threads.AppendMessages(ctx, *r.ThreadID, r.ID, []InputMessage{{Role: "assistant", Content: text}})
	return text, err
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

// Summary is the compact record of an ended run, for people who look at many.
type Summary struct {
	Steps      int   `json:"steps"`
	ToolCalls  int   `json:"tool_calls"`
	QueuedMS   int64 `json:"queued_ms"`
	DurationMS int64 `json:"duration_ms"`
	StoppedMS  int64 `json:"stopped_ms,omitempty"` // cancelled runs: from asked to stopped
}

// Summarise writes the summary of an ended run into its row.
func (s *Service) Summarise(ctx context.Context, id uuid.UUID) error {
	r, err := s.store.find(ctx, id)
	if err != nil {
		return err
	}
	if !r.Status.Final() {
		return fault.New(fault.Conflict, "The run has not ended.")
	}
	calls, err := s.store.countCalls(ctx, id)
	if err != nil {
		return err
	}
	sum := Summary{Steps: r.Step, ToolCalls: calls}
	if r.StartedAt != nil {
		sum.QueuedMS = r.StartedAt.Sub(r.CreatedAt).Milliseconds()
		sum.DurationMS = r.FinishedAt.Sub(*r.StartedAt).Milliseconds()
	}
	if r.Cancel != nil {
		sum.StoppedMS = r.FinishedAt.Sub(r.Cancel.At).Milliseconds()
	}
	data, err := json.Marshal(sum)
	if err != nil {
		return fmt.Errorf("encode the summary: %w", err)
	}
	return s.store.summarise(ctx, id, data)
}
