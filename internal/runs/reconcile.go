package runs

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/platform/postgres"
)

// The sizes of a pass: what it costs at most, however many runs there are.
const (
	closedPage  = 500              // of the engine's list of closed workflows, read at once
	closedPages = 10               // of these in one pass
	oldestPage  = 200              // of unfinished runs that are compared one by one
	untoldPage  = 200              // of ends that connectors have not been told
	asked       = 8                // questions to the engine at a time
	overlap     = 2 * time.Minute  // windows overlap by more than the engine's listing lags behind
	lookback    = 24 * time.Hour   // of the very first pass
	untoldAge   = 20 * time.Second // younger ones are being told by whoever recorded them

	lenientAfter = 4 // attempts at a pass that failed: Temporal lists, so it is there
)

// Pass is where the reconciler stands between two passes.
type Pass struct {
	Window Window    `json:"window"`         // of closed workflows
	After  uuid.UUID `json:"after"`          // the last unfinished run that was compared; zero: begin with the oldest
	Found  Found     `json:"found,omitzero"` // by this pass
	Begun  time.Time `json:"begun"`          // by the engine's clock
	Read   bool      `json:"read,omitzero"`  // the window has been read to its end
	// Lenient: what fails for single closed workflows does not fail the pass.
	Lenient bool  `json:"lenient,omitzero"`
	Untold  Place `json:"untold,omitzero"` // the last end that the connectors were told, or should have been; zero: begin with the oldest
}

// Found counts what a pass found.
type Found struct {
	Closed int         `json:"closed"`          // runs ended that had not
	Untold int         `json:"untold"`          // announcements made up for
	Stuck  []uuid.UUID `json:"stuck,omitempty"` // runs whose workflow's code fails over and over
}

// Next is the pass that follows at a time of the engine's clock.
func (p Pass) Next(at time.Time) Pass {
	next := Pass{Window: p.Window, After: p.After, Untold: p.Untold, Begun: at}
	switch {
	case p.Begun.IsZero():
		next.Window = Window{From: at.Add(-lookback), Until: at}
	case p.Read:
		next.Window = Window{From: p.Window.Until.Add(-overlap), Until: at}
	}
	return next
}

// Retried is the pass as it is tried for the n-th time, from 1. What fails may be its place in the list, which
// Temporal need not know for ever: in the end the window is read from its beginning. Or it is a single workflow, which
// must not keep the reconciler from all others: then it is left to the comparison, one by one.
func (p Pass) Retried(n int) Pass {
	if n > 2 {
		p.Window.Cursor = ""
	}
	p.Lenient = n > lenientAfter
	return p
}

// ReconcileObserver is told what passes and callbacks find, for metrics.
type ReconcileObserver interface {
	// Passed counts a pass, or an attempt at one that has to be made again.
	Passed(whole bool)
	// Reconciled counts a run by what became of its workflow.
	Reconciled(e Ending)
	// EndTold counts an announcement that was made up for.
	EndTold()
}

// Reconcile makes one pass over the runs of every tenant: it makes up for announcements that a crash
// prevented, follows what the engine lists as closed, and compares a page of the oldest unfinished runs
// with the engine one by one, which finds what no list holds. A pass that is made again, or by two processes
// at once, changes nothing more. An error means that it has to be made again from where it began.
func (s *Service) Reconcile(ctx context.Context, p Pass) (Pass, error) {
	p, err := s.pass(postgres.AsSystem(ctx), p)
	s.Observer.Passed(err == nil)
	return p, err
}

func (s *Service) pass(system context.Context, p Pass) (Pass, error) {
	if err := s.tellUntold(system, &p); err != nil {
		return p, err
	}
	if err := s.followClosed(system, &p); err != nil {
		return p, err
	}
	return p, s.compareOldest(system, &p)
}

// tellUntold makes up for a page of announcements, in turn. What fails stays owed, and does not keep the pass from the rest.
func (s *Service) tellUntold(system context.Context, p *Pass) error {
	untold, err := s.store.untold(system, untoldAge, p.Untold, untoldPage)
	if err != nil {
		return err
	}
	if p.Untold = (Place{}); len(untold) == untoldPage {
		p.Untold = untold[len(untold)-1].place
	}
	for _, r := range untold {
		ctx := onBehalf(system, r.tenant, r.requestID)
		if err := s.tellAll(ctx, r.id); err != nil {
			if system.Err() != nil {
				return err
			}
			s.Logger.ErrorContext(ctx, "the connectors could not be told of a run's end", "run_id", r.id, "error", err)
			continue
		}
		p.Found.Untold++
		s.Observer.EndTold()
	}
	return nil
}

func (s *Service) followClosed(system context.Context, p *Pass) error {
	for range closedPages {
		closed, next, err := s.Engine.FindClosed(system, p.Window, closedPage)
		if err != nil {
			return err
		}
		all, killed := make([]uuid.UUID, 0, len(closed)), []uuid.UUID{}
		for _, c := range closed {
			all = append(all, c.RunID)
			if c.Killed {
				killed = append(killed, c.RunID)
			}
		}
		drifted, err := s.store.drifted(system, all, killed)
		if err != nil {
			return err
		}
		if failed, err := s.settleAll(system, drifted, p); err != nil {
			if !p.Lenient || system.Err() != nil {
				return err
			}
			if err := s.oweEnds(system, failed); err != nil {
				return err
			}
			s.Logger.WarnContext(system, "closed workflows could not be followed, and are left to the comparison", "error", err)
		}
		if p.Window.Cursor = next; next == "" {
			p.Read = true
			return nil
		}
	}
	return nil
}

func (s *Service) compareOldest(system context.Context, p *Pass) error {
	page, err := s.store.unfinished(system, p.After, s.DispatchIn, oldestPage)
	if err != nil {
		return err
	}
	if p.After = uuid.Nil; len(page) == oldestPage {
		p.After = page[len(page)-1].id
	}
	// It comes by again: what fails for some runs must not keep the pass, and all that follow it, from the others.
	if _, err := s.settleAll(system, page, p); err != nil {
		if system.Err() != nil {
			return err
		}
		s.Logger.WarnContext(system, "runs could not be compared with their workflows yet", "error", err)
	}
	return nil
}

// oweEnds notes that the ends of runs are to be announced whose workflows could not be looked at: perhaps once more.
func (s *Service) oweEnds(system context.Context, all []suspect) error {
	for _, r := range all {
		if !r.status.Final() {
			continue // the comparison ends it
		}
		if _, err := s.store.oweEnd(onBehalf(system, r.tenant, r.requestID), r.id); err != nil {
			return err
		}
	}
	return nil
}

// settleAll settles runs side by side. What fails for one does not keep it from the others. It returns those that failed
// because a part was away.
func (s *Service) settleAll(system context.Context, all []suspect, p *Pass) (failed []suspect, err error) {
	endings := make([]Ending, len(all))
	away := make([]error, len(all))
	var group errgroup.Group
	group.SetLimit(asked)
	for i, r := range all {
		group.Go(func() error {
			ctx := onBehalf(system, r.tenant, r.requestID)
			ending, err := s.settle(ctx, r)
			switch {
			case err == nil:
				endings[i] = ending
			case retryable(err) || system.Err() != nil:
				away[i] = err
			default:
				s.Logger.ErrorContext(ctx, "a run could not be compared with its workflow", "run_id", r.id, "error", err)
			}
			return nil
		})
	}
	_ = group.Wait() // its functions give no error: all are to run
	for i, ending := range endings {
		switch ending {
		case EndingStuck:
			p.Found.Stuck = append(p.Found.Stuck, all[i].id)
			s.Logger.WarnContext(onBehalf(system, all[i].tenant, all[i].requestID),
				"the code of a run's workflow fails over and over; the run waits for a version that fits", "run_id", all[i].id)
		case "", EndingOpen:
		case EndingCompleted, EndingFailed, EndingCancelled, EndingTerminated, EndingTimedOut, EndingGone:
			p.Found.Closed++
		}
	}
	for i, err := range away {
		if err != nil {
			failed = append(failed, all[i])
		}
	}
	return failed, errors.Join(away...)
}
