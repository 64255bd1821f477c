package runs

import (
	"context"

	"github.com/google/uuid"
)

// Check reports whether a run could be accepted, as far as that can be said beforehand: its agent, thread and
// workspace, its form and its limits.
func (s *Service) Check(ctx context.Context, in NewRun) error {
	if _, err := s.asked(ctx, in); err != nil {
		return err
	}
	return s.store.checkReferences(ctx, in.ThreadID, in.WorkspaceID)
}

// Accept is Create for a run whose workflow the caller starts, in the caller's transaction. A run that comes back
// held is not to be started: the caller undoes it, or leaves it to be released. Until the run has begun it counts as
// forgotten: if the caller dies, the dispatcher starts it.
func (s *Service) Accept(ctx context.Context, in NewRun) (Run, error) {
	r, err := s.asked(ctx, in)
	if err == nil {
		r, _, _, err = s.admit(ctx, r, nil)
	}
	return r, err
}

// FindToStart gives an accepted run with its title, for whoever starts it.
func (s *Service) FindToStart(ctx context.Context, id uuid.UUID) (Run, error) {
	r, err := s.store.find(ctx, id)
	if err == nil {
		s.entitle(ctx, &r)
	}
	return r, err
}
