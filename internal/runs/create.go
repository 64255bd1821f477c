package runs

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/tracing"
)

// Create accepts a run and hands it to the engine, unless it is to be held. When the engine cannot be reached
// the run is taken back and fault.Unavailable given. A NewRun whose id is known gives the run that exists. What
// stands against a run (a quota, a pause, a suspended tenant, a busy thread) is said with its own code.
func (s *Service) Create(ctx context.Context, in NewRun) (Run, error) {
	r, err := s.asked(ctx, in)
	if err != nil {
		return Run{}, err
	}
	return s.begin(ctx, r, nil)
}

// asked gives the run that a caller asks for.
func (s *Service) asked(ctx context.Context, in NewRun) (Run, error) {
	agent, err := s.resolveAgent(ctx, in.agent())
	if err != nil {
		return Run{}, err
	}
	return s.build(ctx, in, agent)
}

func (s *Service) resolveAgent(ctx context.Context, ref string) (AgentRef, error) {
	agent, err := s.Agents.ResolveAgent(ctx, ref)
	switch {
	case !fault.Is(err, fault.NotFound):
	case ref == DefaultAgent:
		err = fault.InvalidField("agent", "exists",
			`is absent or %[1]s, and this tenant has no agent %[1]s: name another one, or make it with POST /v1/agents {"slug": "%[1]s", "name": "Assistant"}`, ref)
	default:
		err = fault.InvalidField("agent", "exists", "names no agent of this tenant")
	}
	if err == nil {
		err = agent.Unusable
	}
	return agent, err
}

func (s *Service) build(ctx context.Context, in NewRun, agent AgentRef) (Run, error) {
	if in.WebhookURL != "" {
		if err := s.CheckURL(in.WebhookURL); err != nil {
			return Run{}, webhookFault(err)
		}
	}
	r, err := in.build(agent, now())
	if err != nil {
		return Run{}, err
	}
	return s.sign(ctx, r, agent), nil
}

// sign puts on a run whose it is, who asked for it and what it is called.
func (s *Service) sign(ctx context.Context, r Run, agent AgentRef) Run {
	caller := scope.From(ctx)
	r.TenantID, r.CreatedBy, r.RequestID = caller.Tenant, caller.Actor, caller.RequestID
	r.TraceParent = tracing.ParentOf(ctx)
	r.Title = agent.title(r.AgentVersion)
	return r
}

// begin accepts a run and starts it if it is not held. also (nil: nothing) is done in the transaction that
// accepts the run.
func (s *Service) begin(ctx context.Context, r Run, also func(ctx context.Context) error) (Run, error) {
	r, fresh, superseded, err := s.admit(ctx, r, also)
	if err != nil || !fresh {
		return r, err
	}
	s.stopSoon(ctx, superseded)
	if r.Held != nil {
		s.wake.held(r)
		return r, nil
	}
	if err := s.Engine.StartRun(ctx, r); err != nil {
		if err := s.takeBack(ctx, r, err); err != nil {
			return Run{}, err
		}
	}
	return r, nil
}

// admit accepts a run and gives it as it was accepted, with the runs that are to make room for it; what stands
// against it is an error. fresh is false for a run that exists.
func (s *Service) admit(ctx context.Context, r Run, also func(ctx context.Context) error) (_ Run, fresh bool, superseded []uuid.UUID, err error) {
	a, superseded, err := s.accept(ctx, r, also)
	switch {
	case err != nil:
		return Run{}, false, nil, err
	case a.verdict.Refused != nil:
		return Run{}, false, nil, a.verdict.Refused.fault(now().Time)
	case !a.created:
		known, err := s.store.find(ctx, r.ID)
		if a.busy && fault.Is(err, fault.NotFound) {
			err = fault.New(fault.ThreadBusy, threadBusy)
		}
		return known, false, nil, err
	}
	r.Warnings = a.verdict.Warnings
	if a.verdict.Hold != "" {
		r.Held = &Held{By: a.verdict.Hold, At: r.CreatedAt}
	}
	return r, true, superseded, nil
}

// accept writes the run, and its messages into its thread if it begins at once, in one transaction. On a busy
// thread it asks those before it to stop, if the run is to take their place.
func (s *Service) accept(ctx context.Context, r Run, also func(ctx context.Context) error) (a accepted, superseded []uuid.UUID, err error) {
	if r.ThreadID == nil && also == nil {
		if a, err = s.store.insert(ctx, r, false); err == nil && s.counted(a) {
			err = s.store.unadmit(ctx, r)
		}
		return a, nil, err
	}
	for _, waits := range []bool{false, true} {
		err = s.DB.Tx(ctx, func(ctx context.Context) error {
			a, superseded, err = s.acceptOn(ctx, r, waits, also)
			return err
		})
		// Somebody else took the thread between the look at it and the insert.
		if !fault.Is(err, fault.ThreadBusy) || r.OnBusy == BusyReject {
			break
		}
	}
	return a, superseded, err
}

// counted reports whether a run was counted although it had been accepted before: by two requests at once.
func (s *Service) counted(a accepted) bool {
	return !a.created && a.verdict.Refused == nil && a.verdict.Warnings != nil
}

func (s *Service) acceptOn(ctx context.Context, r Run, waits bool, also func(ctx context.Context) error) (a accepted, superseded []uuid.UUID, err error) {
	if a, err = s.store.insert(ctx, r, waits); err != nil {
		return a, nil, err
	}
	if !a.created {
		if s.counted(a) {
			err = s.store.unadmit(ctx, r)
		}
		return a, nil, err
	}
	if also != nil {
		if err := also(ctx); err != nil {
			return a, nil, err
		}
	}
	if r.ThreadID == nil {
		return a, nil, nil
	}
	if superseded, err = s.supersede(ctx, r, a.verdict.Hold); err != nil {
		return a, nil, err
	}
	if a.verdict.Hold == "" {
		err = s.Threads.AppendMessages(ctx, *r.ThreadID, r.ID, r.Input)
	}
	return a, superseded, err
}

// takeBack undoes the acceptance of a run that the engine did not take, and gives the cause. A run that
// has begun stays: its start was heard although the answer was lost. When taking back fails as well, the
// dispatcher looks after the run: it is started or failed, never lost. A workflow that begins after its
// run was taken back finds no run and ends.
func (s *Service) takeBack(ctx context.Context, r Run, cause error) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	removed, err := s.remove(ctx, r)
	switch {
	case err != nil:
		s.Logger.WarnContext(ctx, "a run that could not be started stays accepted", "run_id", r.ID, "error", errors.Join(cause, err))
	case !removed:
		s.Logger.InfoContext(ctx, "a run began although its start was not answered", "run_id", r.ID, "error", cause)
		return nil
	}
	return cause
}

func (s *Service) remove(ctx context.Context, r Run) (removed bool, err error) {
	err = s.DB.Tx(ctx, func(ctx context.Context) error {
		if removed, err = s.store.removeUnstarted(ctx, r.ID); err != nil || !removed {
			return err
		}
		if err := s.store.unadmit(ctx, r); err != nil || r.ThreadID == nil {
			return err
		}
		return s.Threads.WithdrawMessages(ctx, *r.ThreadID, r.ID)
	})
	return removed, err
}
