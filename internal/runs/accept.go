package runs

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
)

// Check reports whether a run could be accepted, as far as that can be said beforehand: its agent, its form and its
// limits.
func (s *Service) Check(ctx context.Context, in NewRun) error {
	agent, err := s.resolveAgent(ctx, in.agent())
	if err != nil {
		return err
	}
	_, err = s.build(ctx, in, agent)
	return err
}

// Accept is Create for a run whose workflow the caller starts, in the caller's transaction. A run that comes back
// held is not to be started: the caller undoes it, or leaves it to be released. Until the run has begun it counts as
// forgotten: if the caller dies, the dispatcher starts it.
func (s *Service) Accept(ctx context.Context, in NewRun) (Run, error) {
	agent, err := s.resolveAgent(ctx, in.agent())
	if err != nil {
		return Run{}, err
	}
	r, err := s.build(ctx, in, agent)
	if err != nil {
		return Run{}, err
	}
	a, _, err := s.accept(ctx, r, nil)
	switch {
	case err != nil:
		return Run{}, err
	case a.verdict.Refused != nil:
		return Run{}, a.verdict.Refused.fault(now().Time)
	case !a.created:
		known, err := s.store.find(ctx, r.ID)
		if a.busy && fault.Is(err, fault.NotFound) {
			err = fault.New(fault.ThreadBusy, threadBusy)
		}
		return known, err
	case a.verdict.Hold != "":
		r.Held = &Held{By: a.verdict.Hold, At: r.CreatedAt}
	}
	return r, nil
}

// FindToStart gives an accepted run with its title, for whoever starts it.
func (s *Service) FindToStart(ctx context.Context, id uuid.UUID) (Run, error) {
	r, err := s.store.find(ctx, id)
	if err == nil {
		s.entitle(ctx, &r)
	}
	return r, err
}
