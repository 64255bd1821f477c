package integration

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// nextCallback gives the next genuine callback of the run.
func nextCallback(t *testing.T, r *harness.Relay, x *harness.Tenant, id uuid.UUID) harness.Callback {
	t.Helper()
	patience := time.After(within)
	for {
		select {
		case c := <-r.Took:
			if c.Status != http.StatusUnauthorized && c.Header.Get("lari-workflow") == workflows.RunWorkflowID(x.ID, id) {
				return c
			}
		case <-patience:
			t.Fatal("no callback came")
		}
	}
}

// Temporal tells at once what it closed: nobody looks.
func TestTemporalTellsThatItClosedARun(t *testing.T) {
	t.Parallel()
	s, alerts := alerting(t, fakellm.Rule{Contains: "story", Reply: endless()})
	p, callbacks := s.StartCalledBack(t)
	x := p.NewTenant(t, agents.Config{})
	streaming := func() uuid.UUID {
		r := x.StartRun(t, `{"input": "a story"}`)
		x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
		return r.ID
	}
	t.Run("terminated", func(t *testing.T) {
		id := streaming()
		follower, began := x.Follow(t, id, 0), time.Now()
		terminate(t, s, x, id, "of the test")
		follower.Rest(t)
		t.Logf("the run ended %s after its workflow was terminated", time.Since(began).Round(time.Millisecond))
		wantEnd(t, s, x, id, runs.Failed, event.ErrorTerminated)
		if c := nextCallback(t, callbacks, x, id); c.Status != http.StatusNoContent {
			t.Errorf("the callback was answered with %d", c.Status)
		}
		alerts.next(t)
	})
	t.Run("terminated, and the callback is not heard twice", func(t *testing.T) {
		id := streaming()
		callbacks.Down.Store(2)
		terminate(t, s, x, id, "")
		wantEnd(t, s, x, id, runs.Failed, event.ErrorTerminated)
		alerts.next(t)
		c := nextCallback(t, callbacks, x, id)
		for range 2 { // a callback may come again
			if status := post(t, callbacks.URL, c.Header, nil); status != http.StatusNoContent {
				t.Errorf("the repeated callback was answered with %d", status)
			}
		}
		wantEnd(t, s, x, id, runs.Failed, event.ErrorTerminated)
	})
	t.Run("completed", func(t *testing.T) {
		r := x.StartRun(t, `{"input": "hello"}`)
		wantEnd(t, s, x, r.ID, runs.Completed, "")
		alerts.next(t)
		if c := nextCallback(t, callbacks, x, r.ID); c.Status != http.StatusNoContent {
			t.Errorf("the callback was answered with %d", c.Status)
		}
	})
	t.Run("reset", func(t *testing.T) {
		id := streaming()
		reset(t, s, x, id, 1)
		x.Follow(t, id, 0).Until(t, event.AttemptRestarted)
		if status := x.FindRun(t, id).Status; status != string(runs.Running) {
			t.Errorf("the run that was reset is %s", status)
		}
		cancel(t, x, id, "")
		wantEnd(t, s, x, id, runs.Cancelled, "")
	})
	t.Run("forged", func(t *testing.T) {
		id := streaming()
		for name, header := range map[string]http.Header{
			"no proof": {"Lari-Workflow": {workflows.RunWorkflowID(x.ID, id)}},
			"another run's proof": {
				"Lari-Workflow": {workflows.RunWorkflowID(x.ID, id)}, "Lari-Proof": {genuine(t, callbacks, x).Get("lari-proof")},
			},
		} {
			if status := post(t, callbacks.URL, header, nil); status != http.StatusUnauthorized {
				t.Errorf("%s: answered with %d", name, status)
			}
		}
		cancel(t, x, id, "")
		wantEnd(t, s, x, id, runs.Cancelled, "")
		// A genuine callback ends no run that goes on, and more than enough of a body is not read.
		c := nextCallback(t, callbacks, x, id)
		if status := post(t, callbacks.URL, c.Header, make([]byte, 8<<20)); status != http.StatusNoContent {
			t.Errorf("a callback with a large body was answered with %d", status)
		}
	})
	if n := alerts.attempts.Load(); n != 4 {
		t.Errorf("%d alerts were sent, want 4", n)
	}
}

// genuine gives the headers of another run's callback.
func genuine(t *testing.T, callbacks *harness.Relay, x *harness.Tenant) http.Header {
	t.Helper()
	r := x.StartRun(t, `{"input": "hello"}`)
	wholeLog(t, x, r.ID)
	return nextCallback(t, callbacks, x, r.ID).Header
}

func post(t *testing.T, url string, header http.Header, body []byte) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	must(t, err)
	for name := range header {
		req.Header.Set(name, header.Get(name))
	}
	req.Header.Del("Content-Length")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	must(t, resp.Body.Close())
	return resp.StatusCode
}

// A server that may not call our address starts runs all the same.
func TestTemporalMayNotTell(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Contains: "story", Reply: endless()})
	cfg := s.Config
	cfg.Reconcile.CallbackURL, cfg.Reconcile.CallbackSecret = config.NewURL("http://192.0.2.1:9464/temporal/callback"), config.NewSecret(harness.Secret)
	p := s.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, agents.Config{})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if a, err := x.Try(context.WithoutCancel(t.Context()), "POST", "/v1/runs/wait", `{"input": "hello"}`); err != nil || a.Status != http.StatusOK {
				t.Errorf("%d %s: %v", a.Status, a.Body, err)
			}
		})
	}
	all.Wait()
	r := x.StartRun(t, `{"input": "a story"}`)
	x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
	terminate(t, s, x, r.ID, "")
	pass(t, p)
	wantEnd(t, s, x, r.ID, runs.Failed, event.ErrorTerminated)
}

// The schedule makes the passes; any number of workers may ask for it.
func TestTheReconcilerIsScheduled(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Contains: "story", Reply: endless()})
	cfg := s.Config
	cfg.Reconcile.Every = time.Hour
	s.StartWith(t, cfg, app.Options{Worker: true})
	handle := s.Temporal.ScheduleClient().GetHandle(t.Context(), workflows.ReconcileScheduleID)
	harness.Eventually(t, within, "the schedule is there", func() bool {
		_, err := handle.Describe(t.Context())
		return err == nil
	})
	cfg.Reconcile.Every = time.Second
	var others [2]*harness.Process
	for i := range others {
		others[i] = s.StartWith(t, cfg, harness.All)
	}
	x := others[0].NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "a story"}`)
	x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
	follower, began := x.Follow(t, r.ID, 0), time.Now()
	terminate(t, s, x, r.ID, "")
	follower.Rest(t)
	t.Logf("the run ended %s after its workflow was terminated", time.Since(began).Round(time.Millisecond))
	wantEnd(t, s, x, r.ID, runs.Failed, event.ErrorTerminated)
	d, err := handle.Describe(t.Context())
	must(t, err)
	if every := d.Schedule.Spec.Intervals[0].Every; len(d.Schedule.Spec.Intervals) != 1 || every != time.Second {
		t.Errorf("the schedule's intervals are %+v", d.Schedule.Spec.Intervals)
	}
	must(t, handle.Delete(t.Context()))
}
