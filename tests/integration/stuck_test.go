package integration

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

func panics(workflow.Context, workflows.RunInput) (workflows.RunResult, error) { panic("of the test") }

// another is a version of the run's workflow whose commands are not those of any history.
func another(ctx workflow.Context, _ workflows.RunInput) (workflows.RunResult, error) {
	return workflows.RunResult{}, workflow.Sleep(ctx, time.Hour)
}

// wantStuck demands that passes report the run as stuck, and leave it alone.
func wantStuck(t *testing.T, p *harness.Process, x *harness.Tenant, id uuid.UUID) {
	t.Helper()
	harness.Eventually(t, within, "the run is reported as stuck", func() bool { return slices.Contains(pass(t, p).Found.Stuck, id) })
	if r := x.FindRun(t, id); r.Status != string(runs.Running) {
		t.Errorf("the stuck run is %s", r.Status)
	}
}

// A run whose workflow panics waits, visibly, for a version that does not; or for somebody who ends it.
func TestAWorkflowPanics(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	w := strange(t, s, panics, recording(p))
	mended, given := x.StartRun(t, `{"input": "hello"}`).ID, x.StartRun(t, `{"input": "hello"}`).ID
	wantStuck(t, p, x, mended)
	wantStuck(t, p, x, given)
	terminate(t, s, x, given, "it will never do")
	pass(t, p)
	wantEnd(t, s, x, given, runs.Failed, event.ErrorTerminated)
	w.Stop()
	s.Start(t, app.Options{Worker: true})
	wantEnd(t, s, x, mended, runs.Completed, "")
}

// A version whose workflow does not fit the histories of open runs is deployed, and taken back.
func TestADeployThatDoesNotFit(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: fakellm.Reply{Text: "one two three four five", Gated: true}})
	p := s.Start(t, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	fitting := s.Start(t, app.Options{Worker: true})
	mended, given := x.StartRun(t, `{"input": "hello"}`).ID, x.StartRun(t, `{"input": "hello"}`).ID
	must(t, s.Model.WaitRequests(soon(t), 2))
	must(t, ignoreCancel(fitting.Stop()))
	w := strange(t, s, another, recording(p))
	for _, id := range []uuid.UUID{mended, given} { // something happens that the workflow has to look at
		must(t, s.Temporal.SignalWorkflow(t.Context(), workflows.RunWorkflowID(x.ID, id), "", workflows.ApprovalSignal, workflows.ApprovalResolved{}))
	}
	wantStuck(t, p, x, mended)
	wantStuck(t, p, x, given)
	terminate(t, s, x, given, "")
	pass(t, p)
	wantEnd(t, s, x, given, runs.Failed, event.ErrorTerminated)
	w.Stop()
	s.Model.Release(100)
	s.Start(t, app.Options{Worker: true})
	wantEnd(t, s, x, mended, runs.Completed, "")
}

// panicking is a step that panics before it does what it can.
type panicking struct{ attempts chan int32 }

func (p panicking) CallModel(_ context.Context, _ activities.ModelCall) (activities.ModelTurn, error) {
	select {
	case p.attempts <- 1:
		panic("of the test")
	default:
		return activities.ModelTurn{}, temporal.NewNonRetryableApplicationError("no more", activities.ModelFailureType("invalid"), nil)
	}
}

// starting records starts and ends only.
type starting struct{ a *activities.Activities }

func (s starting) RecordStart(ctx context.Context, ref activities.RunRef) (activities.StartRecorded, error) {
	return s.a.RecordStart(ctx, ref)
}

func (s starting) RecordFinish(ctx context.Context, f activities.Finish) (runs.Status, error) {
	return s.a.RecordFinish(ctx, f)
}

// A step that panics is tried again, and the run ends as that leaves it.
func TestAnActivityPanics(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	step := panicking{attempts: make(chan int32, 2)}
	w := strange(t, s, workflows.AgentRun, &starting{recording(p)}, &step)
	defer w.Stop()
	r := x.StartRun(t, `{"input": "hello"}`)
	wantEnd(t, s, x, r.ID, runs.Failed, event.ErrorModel)
	if len(step.attempts) != cap(step.attempts) {
		t.Errorf("the step was tried %d times before", len(step.attempts))
	}
}
