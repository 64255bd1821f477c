package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// What Temporal closes behind the back of a run's workflow ends the run, once, with its reason.
func TestTemporalClosesARun(t *testing.T) {
	t.Parallel()
	s, alerts := alerting(t, fakellm.Rule{Contains: "story", Reply: endless()})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	streaming := func() uuid.UUID {
		r := x.StartRun(t, `{"input": "a story"}`)
		x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
		return r.ID
	}
	t.Run("terminated", func(t *testing.T) {
		id := streaming()
		terminate(t, s, x, id, "it went astray")
		follower := x.Follow(t, id, 0)
		if n := pass(t, p).Found.Closed; n != 1 {
			t.Errorf("a pass closed %d runs, want 1", n)
		}
		harness.WantWhole(t, follower.Rest(t)) // who watched sees the end too
		r := wantEnd(t, s, x, id, runs.Failed, event.ErrorTerminated)
		if !strings.Contains(r.Error.Message, "it went astray") {
			t.Errorf("the reason is missing: %q", r.Error.Message)
		}
		if h := alerts.next(t); h.message.Data.RunID != id || h.message.Type != event.RunError {
			t.Errorf("told %s", h.body)
		}
		if n := pass(t, p).Found.Closed; n != 0 {
			t.Errorf("another pass closed %d runs", n)
		}
	})
	t.Run("terminated, seen in the list", func(t *testing.T) {
		id := streaming()
		terminate(t, s, x, id, "")
		listed(t, p, x, id)
		wantEnd(t, s, x, id, runs.Failed, event.ErrorTerminated)
		alerts.next(t)
	})
	for name, o := range map[string]client.StartWorkflowOptions{
		"run time-out": {WorkflowRunTimeout: time.Second}, "execution time-out": {WorkflowExecutionTimeout: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			id := s.StartLimited(t, p, x, o, runs.NewRun{Input: "a story"})
			if status := closed(t, s, x, id); status != enums.WORKFLOW_EXECUTION_STATUS_TIMED_OUT {
				t.Fatalf("the workflow is %s", status)
			}
			listed(t, p, x, id)
			wantEnd(t, s, x, id, runs.TimedOut, event.ErrorTimeout)
			alerts.next(t)
		})
	}
	t.Run("deleted", func(t *testing.T) {
		id := streaming()
		workflow := &common.WorkflowExecution{WorkflowId: workflows.RunWorkflowID(x.ID, id)}
		_, err := s.Temporal.WorkflowService().DeleteWorkflowExecution(t.Context(), &workflowservice.DeleteWorkflowExecutionRequest{
			Namespace: s.Config.Temporal.Namespace, WorkflowExecution: workflow,
		})
		must(t, err)
		harness.Eventually(t, within, "the run whose workflow was deleted has ended", func() bool {
			pass(t, p)
			return x.FindRun(t, id).Status == string(runs.Failed)
		})
		wantEnd(t, s, x, id, runs.Failed, event.ErrorTerminated)
		alerts.next(t)
	})
	t.Run("cancelled in Temporal", func(t *testing.T) {
		id := streaming()
		must(t, s.Temporal.CancelWorkflow(t.Context(), workflows.RunWorkflowID(x.ID, id), ""))
		wantEnd(t, s, x, id, runs.Cancelled, "")
		closed(t, s, x, id)
		if n := pass(t, p).Found.Closed; n != 0 {
			t.Errorf("a pass closed %d runs", n)
		}
	})
	if n := alerts.attempts.Load(); n != 5 {
		t.Errorf("%d alerts were sent, want 5", n)
	}
}

// A run may be closed in Temporal before it began, or while it waits; its thread is free then.
func TestTemporalClosesARunThatDoesNothing(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Contains: "time", Turn: fakellm.FirstTurn, Reply: calls("current_time", `{}`)})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, asking("current_time", 600))
	var thread struct{ ID uuid.UUID }
	x.Do(t, "POST", "/v1/threads", `{}`).Want(t, 201, &thread)
	r := x.StartRun(t, map[string]any{"input": "what time is it?", "thread_id": thread.ID})
	x.Follow(t, r.ID, 0).Until(t, event.ApprovalRequested)
	x.Do(t, "POST", "/v1/runs", map[string]any{"input": "hello", "thread_id": thread.ID}).WantProblem(t, 409, "thread_busy")
	terminate(t, s, x, r.ID, "")
	pass(t, p)
	wantEnd(t, s, x, r.ID, runs.Failed, event.ErrorTerminated)
	next := x.StartRun(t, map[string]any{"input": "hello", "thread_id": thread.ID})
	wantEnd(t, s, x, next.ID, runs.Completed, "")

	must(t, ignoreCancel(p.Stop()))
	api := s.StartWith(t, s.Config, app.Options{API: true}, func(a *app.App) { a.Runs.DispatchIn = time.Nanosecond })
	x.URL = api.URL
	queued := x.StartRun(t, `{"input": "hello"}`)
	must(t, api.App.Runs.Dispatch(t.Context())) // it was handed over: Temporal must know it
	terminate(t, s, x, queued.ID, "no use")
	pass(t, api)
	wantEnd(t, s, x, queued.ID, runs.Failed, event.ErrorTerminated)
}

// The process dies after it has recorded the end that it found, and before anybody is told.
func TestTheAnnouncementOfAFoundEndSurvivesACrash(t *testing.T) {
	t.Parallel()
	s, alerts := alerting(t, fakellm.Rule{Contains: "story", Reply: endless()})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "a story"}`)
	x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
	terminate(t, s, x, r.ID, "")
	d := p.App.Runs.Deps
	d.Announcer = mute{}
	_, err := runs.NewService(d).Reconcile(t.Context(), runs.Pass{}.Next(time.Now()))
	if err == nil {
		t.Error("the pass succeeded although nobody could be told")
	}
	wholeLog(t, x, r.ID)
	if n := alerts.attempts.Load(); n != 0 {
		t.Fatalf("%d alerts were sent", n)
	}
	_, err = s.Database.Conn(t).Exec(t.Context(), `update agent_runs set finished_at = finished_at - interval '1 minute' where id = $1`, r.ID)
	must(t, err)
	if n := pass(t, p).Found.Untold; n != 1 {
		t.Errorf("a pass made up for %d announcements, want 1", n)
	}
	if h := alerts.next(t); h.message.Data.RunID != r.ID {
		t.Errorf("told %s", h.body)
	}
	if n := pass(t, p).Found.Untold; n != 0 {
		t.Errorf("another pass made up for %d announcements", n)
	}
}

// The workflow is terminated after it recorded its end, and before anybody was told of it.
func TestARunIsTerminatedBetweenRecordAndAnnouncement(t *testing.T) {
	t.Parallel()
	s, alerts := alerting(t, fakellm.Rule{Contains: "story", Reply: endless()})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "a story"}`)
	x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
	d := p.App.Runs.Deps
	d.Announcer = mute{}
	_, err := runs.NewService(d).Finished(x.Context(t.Context()), r.ID, runs.Outcome{Status: runs.Failed, Code: event.ErrorModel, Message: "no"})
	if err == nil {
		t.Error("the end was announced")
	}
	terminate(t, s, x, r.ID, "")
	harness.Eventually(t, within, "the reconciler tells the connectors", func() bool {
		pass(t, p)
		return len(auditRows(t, s, r.ID)) == 2
	})
	wantEnd(t, s, x, r.ID, runs.Failed, event.ErrorModel)
	alerts.next(t)
	pass(t, p)
	if n := alerts.attempts.Load(); n != 1 {
		t.Errorf("%d alerts were sent, want 1", n)
	}
}

// The workflow, callbacks and passes all want to end the same runs: each ends once.
func TestWhoeverEndsARunFirstEndsItAlone(t *testing.T) {
	t.Parallel()
	const crowd = 12
	s := harness.NewSystem(t, fakellm.Rule{Contains: "story", Reply: endless()})
	p, other := s.Start(t, harness.All), s.Start(t, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	ids := make([]uuid.UUID, crowd)
	for i := range ids {
		ids[i] = x.StartRun(t, `{"input": "a story"}`).ID
		x.Follow(t, ids[i], 0).Until(t, event.MessageDelta)
	}
	racers := make(chan error, 4*crowd)
	for _, id := range ids {
		go func() { racers <- ignoreStatus(x.Try(t.Context(), "POST", path(id, "/cancel"), `{}`)) }()
		go func() {
			err := s.Temporal.TerminateWorkflow(t.Context(), workflows.RunWorkflowID(x.ID, id), "", "")
			racers <- ignoreMissing(err)
		}()
		go func() { racers <- p.App.Runs.Settle(x.Context(t.Context()), id) }()
		go func() {
			_, err := other.App.Runs.Reconcile(t.Context(), runs.Pass{}.Next(time.Now()))
			racers <- err
		}()
	}
	for range 4 * crowd {
		must(t, <-racers)
	}
	for _, id := range ids {
		harness.Eventually(t, within, "the run has ended", func() bool {
			pass(t, p)
			return runs.Status(x.FindRun(t, id).Status).Final()
		})
		wantEnd(t, s, x, id, runs.Status(x.FindRun(t, id).Status), "")
	}
}
