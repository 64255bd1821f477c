package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
	"github.com/larirun/lari/workflows"
)

// cancel asks for the run's end and waits for it.
func cancel(t *testing.T, x *harness.Tenant, id uuid.UUID, reason string) {
	t.Helper()
	var r harness.Run
	x.Do(t, "POST", path(id, "/cancel?wait=true"), map[string]string{"reason": reason}).Want(t, 200, &r)
	if r.Status != "cancelled" {
		t.Fatalf("the run is %s: %+v", r.Status, r.Error)
	}
}

// wantCancelled demands a log that ends with run_cancelled and a row that says the same.
func wantCancelled(t *testing.T, x *harness.Tenant, id uuid.UUID, by, reason string) (event.Cancelled, []event.Event) {
	t.Helper()
	events := wholeLog(t, x, id)
	if last(events).Type != event.RunCancelled {
		t.Fatalf("the log ends with %s: %s", last(events).Type, last(events).Data)
	}
	c := harness.Payload[event.Cancelled](t, last(events))
	if c.By != by || c.Reason != reason || c.StoppedMS < 0 {
		t.Errorf("cancelled by %q for %q in %d ms, want %q, %q", c.By, c.Reason, c.StoppedMS, by, reason)
	}
	r := x.FindRun(t, id)
	if r.Status != "cancelled" || r.FinishedAt == nil || r.Cancel == nil || r.Cancel.By != by || r.Cancel.Reason != reason ||
		r.Cancel.StoppedMS == nil || *r.Cancel.StoppedMS != c.StoppedMS {
		t.Errorf("the row %+v does not say what the log says: %s", r, last(events).Data)
	}
	if r.Usage.InputTokens != c.Usage.InputTokens || r.Usage.OutputTokens != c.Usage.OutputTokens || !r.Usage.CostUSD.Equal(c.Usage.CostUSD) ||
		r.Usage.Estimated != c.Usage.Estimated {
		t.Errorf("the row's usage is %+v, the event's %+v", r.Usage, c.Usage)
	}
	return c, events
}

func TestCancelWhileTheAnswerStreams(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: endless()})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "a long story"}`)
	x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
	must(t, s.Model.WaitChunks(soon(t), 10))
	asked := time.Now()
	cancel(t, x, r.ID, "changed my mind")
	must(t, s.Model.WaitDisconnects(soon(t), 1))
	must(t, s.Model.WaitIdle(soon(t)))
	record := s.Model.Records()[0]
	t.Logf("the last chunk came %s after the cancel", record.LastByte.Sub(asked))
	if late := record.LastByte.Sub(asked); late > pace.Patience*time.Second { // it would go on for minutes
		t.Errorf("the model still streamed %s after the cancel", late)
	}
	c, events := wantCancelled(t, x, r.ID, actor, "changed my mind")
	if c.Usage.OutputTokens == 0 || c.Usage.InputTokens == 0 || !c.Usage.Estimated {
		t.Errorf("what was said until then is billed, estimated: %+v", c.Usage)
	}
	said := only(events, event.MessageCompleted)
	if len(said) != 1 {
		t.Fatalf("the half answer is not in the log: %v", harness.Types(events))
	}
	m, text := harness.Payload[event.Message](t, said[0]), ""
	for _, e := range only(events, event.MessageDelta) {
		text += harness.Payload[event.Delta](t, e).Text
	}
	if !m.Partial || m.Text != text || text == "" {
		t.Errorf("the partial message has %d bytes, the deltas %d", len(m.Text), len(text))
	}
	if n := s.Model.Stats().Requests; n != 1 {
		t.Errorf("the model was asked %d times", n)
	}
}

// No worker runs: the run ends here and now, and a worker that comes later does not revive it.
func TestCancelInTheQueue(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	for name, stop := range map[string]func(id uuid.UUID){
		"heard": func(id uuid.UUID) {
			var r harness.Run
			x.Do(t, "POST", path(id, "/cancel"), `{"reason": "heard"}`).Want(t, 200, &r)
			if r.Status != "cancelled" {
				t.Errorf("the run is %s", r.Status)
			}
		},
		"unheard": func(id uuid.UUID) {
			broken, _ := forgetful(p)
			_, err := broken.Cancel(x.Context(t.Context()), id, "unheard")
			must(t, err)
		},
	} {
		r := x.StartRun(t, `{"input": "never mind"}`)
		stop(r.ID)
		by := actor
		if name == "unheard" {
			by = "test"
		}
		_, before := wantCancelled(t, x, r.ID, by, name)
		if len(before) != 2 {
			t.Errorf("%s: the log is %v", name, harness.Types(before))
		}
		t.Cleanup(func() {
			if after := wholeLog(t, x, r.ID); len(after) != len(before) {
				t.Errorf("%s: the log grew after its end: %v", name, harness.Types(after))
			}
		})
		w := s.Start(t, app.Options{Worker: true})
		err := s.Temporal.GetWorkflow(soon(t), workflows.RunWorkflowID(x.ID, r.ID), "").Get(soon(t), nil)
		if !temporal.IsCanceledError(err) {
			t.Errorf("%s: the workflow ended with %v", name, err)
		}
		must(t, ignoreCancel(w.Stop()))
	}
	if n := s.Model.Stats().Requests; n != 0 {
		t.Errorf("the model was asked %d times for cancelled runs", n)
	}
}

func TestCancelWhileAToolIsCalled(t *testing.T) {
	t.Parallel()
	h := newHanging(t)
	s := harness.NewSystem(t, fakellm.Rule{Reply: calls("http_get", fmt.Sprintf(`{"url":%q}`, h.URL))})
	x := s.Start(t, harness.All).NewTenant(t, withTools("http_get"))
	r := x.StartRun(t, `{"input": "read that page"}`)
	wait(t, "the tool asks the server", h.came)
	cancel(t, x, r.ID, "")
	wait(t, "the tool's request is aborted", h.left)
	c, events := wantCancelled(t, x, r.ID, actor, "")
	if c.Usage.Tokens() == 0 {
		t.Error("the step before the tool is not billed")
	}
	done := only(events, event.ToolCallCompleted)
	if len(done) != 1 || harness.Payload[event.ToolCompleted](t, done[0]).Error == "" {
		t.Errorf("the call has no end: %v", harness.Types(events))
	}
	if n := s.Model.Stats().Requests; n != 1 {
		t.Errorf("the model was asked %d times", n)
	}
}

func TestCancelWhileAHumanIsAsked(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: calls("calculator", `{"expression":"1+1"}`)})
	x := s.Start(t, harness.All).NewTenant(t, asking("calculator", 3600))
	r := x.StartRun(t, `{"input": "compute"}`)
	asked := harness.Payload[event.ApprovalAsked](t, last(x.Follow(t, r.ID, 0).Until(t, event.ApprovalRequested)))
	cancel(t, x, r.ID, "too late")
	_, events := wantCancelled(t, x, r.ID, actor, "too late")
	if n := len(only(events, event.ToolCallStarted)); n != 0 {
		t.Error("the tool was called")
	}
	x.Do(t, "POST", path(r.ID, "/approvals/"+asked.ApprovalID.String()), `{"decision":"approve"}`).WantProblem(t, 409, "run_final")
}

func TestCancelBetweenRetries(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: fakellm.Reply{Failure: fakellm.RateLimited("30")}})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello"}`)
	harness.Eventually(t, within, "the step waits for its second attempt", func() bool {
		e := findExecution(t, x, r.ID)
		return len(e.PendingActivities) == 1 && e.PendingActivities[0].Attempt == 2
	})
	cancel(t, x, r.ID, "no patience")
	wantCancelled(t, x, r.ID, actor, "no patience")
	if n := s.Model.Stats().Requests; n != 1 {
		t.Errorf("the model was asked %d times", n)
	}
}

func TestCancelThroughTemporal(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: endless()})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "a long story"}`)
	x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
	must(t, s.Temporal.CancelWorkflow(t.Context(), workflows.RunWorkflowID(x.ID, r.ID), ""))
	c, _ := wantCancelled(t, x, r.ID, "temporal", "cancelled outside the API")
	if c.Usage.OutputTokens == 0 {
		t.Errorf("billed %+v", c.Usage)
	}
}

func TestCancelOfAFinalRun(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello"}`)
	before := wholeLog(t, x, r.ID)
	x.Do(t, "POST", path(r.ID, "/cancel"), `{"reason": "late"}`).WantProblem(t, 409, "run_final")
	x.Do(t, "POST", path(r.ID, "/cancel?wait=true"), nil).WantProblem(t, 409, "run_final")
	x.Do(t, "POST", path(uuid.New(), "/cancel"), nil).WantProblem(t, 404, "not_found")
	if after := wholeLog(t, x, r.ID); len(after) != len(before) {
		t.Errorf("the log became %v", harness.Types(after))
	}
	if r = x.FindRun(t, r.ID); r.Status != "completed" || r.Cancel != nil {
		t.Errorf("the run became %+v", r)
	}
}

// The first one who asks is the one recorded; the others hear the same, or that the run has ended.
func TestCancelFromManyConnectionsAtOnce(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: endless()})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "a long story"}`)
	x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
	var all sync.WaitGroup
	reasons := make([]string, 10)
	for i := range reasons {
		all.Go(func() {
			query := "/cancel"
			if i%2 == 0 {
				query = "/cancel?wait=true"
			}
			a, err := x.Try(t.Context(), "POST", path(r.ID, query), fmt.Sprintf(`{"reason": "reason %d"}`, i))
			if err != nil || a.Status != 200 && a.Status != 202 && a.Status != 409 {
				t.Errorf("status %d, error %v: %s", a.Status, err, a.Body)
				return
			}
			var got harness.Run
			if err := json.Unmarshal(a.Body, &got); err == nil && got.Cancel != nil {
				reasons[i] = got.Cancel.Reason
			}
		})
	}
	all.Wait()
	recorded := x.FindRun(t, r.ID).Cancel.Reason
	wantCancelled(t, x, r.ID, actor, recorded)
	for i, reason := range reasons {
		if reason != "" && reason != recorded {
			t.Errorf("connection %d was told %q, the record says %q", i, reason, recorded)
		}
	}
}

func TestCancelTwice(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: endless()})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "a long story"}`)
	follower := x.Follow(t, r.ID, 0)
	follower.Until(t, event.MessageDelta)
	// The first wish is recorded and not heard: as if the process had died between the two.
	broken, dispatching := forgetful(p)
	_, err := broken.Cancel(x.Context(t.Context()), r.ID, "first")
	must(t, err)
	_, err = broken.Cancel(x.Context(t.Context()), r.ID, "second")
	must(t, err)
	x.Do(t, "POST", path(r.ID, "/messages"), `{"content": "wait"}`).WantProblem(t, 409, "run_final")
	must(t, dispatching.Dispatch(t.Context()))
	follower.Rest(t)
	wantCancelled(t, x, r.ID, "test", "first")
}

// Whatever wins, a run has one end, and the row agrees with it.
func TestCancelRacesWithTheEnd(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	var all sync.WaitGroup
	for i := range 30 {
		r := x.StartRun(t, `{"input": "hello"}`)
		all.Go(func() {
			pause, stop := context.WithTimeout(t.Context(), time.Duration(i)*3*time.Millisecond)
			defer stop()
			<-pause.Done()
			if a, err := x.Try(t.Context(), "POST", path(r.ID, "/cancel"), nil); err != nil || a.Status >= 400 && a.Status != 409 {
				t.Errorf("status %d, error %v: %s", a.Status, err, a.Body)
			}
			events := wholeLog(t, x, r.ID)
			want := map[event.Type]string{event.RunCompleted: "completed", event.RunCancelled: "cancelled"}[last(events).Type]
			if got := x.FindRun(t, r.ID).Status; want == "" || got != want {
				t.Errorf("the log ends with %s, the row says %s", last(events).Type, got)
			}
		})
	}
	all.Wait()
}
