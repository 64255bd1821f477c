package runs

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

const waitForQuota = "quota"

// look adds the ledger's question to the statements that a step begins with.
func (s *Service) look(ctx context.Context, limited *bool, with ...postgres.Statement) []postgres.Statement {
	if s.Ledger == nil {
		return with
	}
	return append(with, s.Ledger.Look(scope.Tenant(ctx), limited))
}

// count settles a step with the transaction that records it.
func (s *Service) count(ctx context.Context, step Step, passed *[]string) error {
	if s.Ledger == nil {
		return nil
	}
	return s.DB.Finally(ctx, s.Ledger.Settle(scope.Tenant(ctx), step.RunID, step.Number, step.Usage, passed))
}

// free takes back what a run has reserved, with the transaction that ends it.
func (s *Service) free(ctx context.Context, run uuid.UUID) error {
	if s.Ledger == nil {
		return nil
	}
	return s.DB.Finally(ctx, s.Ledger.Free(run))
}

// warn says in the run's log that a step passed the soft limit of quotas, once a run for each. It says less
// than the step does: a failure is logged, and the step stands.
func (s *Service) warn(ctx context.Context, step Step, passed []string) {
	if len(passed) == 0 {
		return
	}
	r, events, err := s.change(ctx, step.RunID, func(ctx context.Context, r *Run) (drafts []event.Draft, err error) {
		if r.Status.Final() {
			return nil, nil
		}
		for _, quota := range passed {
			if said, err := s.store.warned(ctx, r.ID, quota); err != nil {
				return nil, err
			} else if !said {
				drafts = append(drafts, progress(event.PhaseQuota, step.Number, event.DetailSoftLimit, quota))
			}
		}
		return drafts, nil
	})
	if err == nil {
		err = s.announce(ctx, r, events)
	}
	if err != nil {
		s.Logger.WarnContext(ctx, "a run's log does not say that a soft limit was passed", "run_id", step.RunID, "quotas", passed, "error", err)
	}
}

// WaitForQuota says that the run cannot go on before a quota has room for its step. Said again it changes
// nothing.
func (s *Service) WaitForQuota(ctx context.Context, id uuid.UUID, step int) error {
	return s.turnTo(ctx, id, Running, func(r *Run) ([]event.Draft, error) { return r.Wait(step, waitForQuota) })
}

// QuotaAllows says that the run's step has room and the run goes on. Said again it changes nothing.
func (s *Service) QuotaAllows(ctx context.Context, id uuid.UUID, step int) error {
	return s.turnTo(ctx, id, Waiting, func(r *Run) ([]event.Draft, error) { return r.Resume(step, waitForQuota) })
}

func (s *Service) turnTo(ctx context.Context, id uuid.UUID, from Status, turn func(*Run) ([]event.Draft, error)) error {
	r, events, err := s.change(ctx, id, func(_ context.Context, r *Run) ([]event.Draft, error) {
		if r.Status != from {
			return nil, nil
		}
		return turn(r)
	})
	if err != nil {
		return err
	}
	return s.announce(ctx, r, events)
}
