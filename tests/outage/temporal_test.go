package outage

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/harness"
)

func newThread(t *testing.T, x *harness.Tenant) uuid.UUID {
	t.Helper()
	var thread struct {
		ID uuid.UUID `json:"id"`
	}
	x.Do(t, "POST", "/v1/threads", `{}`).Want(t, 201, &thread)
	return thread.ID
}

// wantEmptyThread demands that a thread shows nothing of a run that was refused.
func wantEmptyThread(t *testing.T, x *harness.Tenant, thread uuid.UUID) {
	t.Helper()
	var messages struct {
		Items []any `json:"items"`
	}
	x.Do(t, "GET", "/v1/threads/"+thread.String()+"/messages", nil).Want(t, 200, &messages)
	if len(messages.Items) != 0 {
		t.Errorf("the thread holds %v", messages.Items)
	}
}

func TestTemporalDown(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, gated)
	cfg, _, temporal := s.Behind(t)
	p := s.StartWith(t, cfg, harness.All, soon)
	x := p.NewTenant(t, agents.Config{})
	wantReadiness(t, x, 200, "")
	thread := newThread(t, x)
	goesOn, stops := x.StartRun(t, `{"input": "count slowly"}`), x.StartRun(t, `{"input": "count slowly"}`)
	first, second := x.Follow(t, goesOn.ID, 0), x.Follow(t, stops.ID, 0)
	s.Model.Release(4)
	seen := first.Until(t, event.RunStarted)
	cancelled := second.Until(t, event.RunStarted)

	temporal.Cut()
	body := map[string]any{"input": "hello", "thread_id": thread}
	t.Run("refused", func(t *testing.T) {
		for name, c := range map[string]struct {
			path, key string
			body      any
		}{
			"plain":  {"/v1/runs", "plain", `{"input": "hello"}`},
			"thread": {"/v1/runs", "k", body},
			"stream": {"/v1/runs/stream", "stream", `{"input": "hello"}`},
			"wait":   {"/v1/runs/wait", "wait", `{"input": "hello"}`},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				wantRefused(t, 10*time.Second, x, "POST", c.path, c.body, "Idempotency-Key", c.key)
			})
		}
	})
	wantRuns(t, s, x, goesOn.ID, stops.ID)
	wantEmptyThread(t, x, thread)
	wantReadiness(t, x, 503, "temporal")
	x.Do(t, "GET", "/healthz", nil).Want(t, 200)
	x.Do(t, "POST", "/v1/runs/"+stops.ID.String()+"/cancel", `{"reason": "in the dark"}`).Want(t, 202)
	if r := x.FindRun(t, stops.ID); r.Cancel == nil || r.Cancel.Reason != "in the dark" {
		t.Errorf("the cancel was not recorded: %+v", r)
	}

	temporal.Heal(t)
	cancelled = append(cancelled, second.Rest(t)...) // without another request
	s.Model.Release(100)
	seen = append(seen, first.Rest(t)...)
	harness.WantWhole(t, cancelled)
	harness.WantWhole(t, seen)
	if end := cancelled[len(cancelled)-1]; end.Type != event.RunCancelled || harness.Payload[event.Cancelled](t, end).Reason != "in the dark" {
		t.Errorf("it ended with %s %s", end.Type, end.Data)
	}
	if got := text(t, seen); got != answer || seen[len(seen)-1].Type != event.RunCompleted {
		t.Errorf("the run under way: %q, %v", got, harness.Types(seen))
	}
	wantReadiness(t, x, 200, "")
	again := x.Do(t, "POST", "/v1/runs", body, "Idempotency-Key", "k")
	var r harness.Run
	again.Want(t, 202, &r)
	harness.WantWhole(t, x.Follow(t, r.ID, 0).Rest(t))
	wantRuns(t, s, x, goesOn.ID, stops.ID, r.ID)
}

func TestTemporalStalls(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg, _, temporal := s.Behind(t)
	p := s.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, agents.Config{})
	wantReadiness(t, x, 200, "")
	temporal.Stall()
	wantRefused(t, 8*time.Second, x, "POST", "/v1/runs", `{"input": "hello"}`)
	wantReadiness(t, x, 503, "temporal")
	wantRuns(t, s, x)
	temporal.Heal(t)
	wantReadiness(t, x, 200, "")
	harness.WantWhole(t, x.Follow(t, x.StartRun(t, `{"input": "hello"}`).ID, 0).Rest(t))
}

// TestTemporalPauses has a server that is silent for some seconds while a model writes. The text goes on,
// and the model is not asked again.
func TestTemporalPauses(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, gated)
	cfg, _, temporal := s.Behind(t)
	p := s.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, agents.Config{})
	stream := x.Follow(t, x.StartRun(t, `{"input": "count slowly"}`).ID, 0)
	s.Model.Release(2)
	seen := stream.Until(t, event.MessageDelta)
	temporal.Stall()
	wantReadiness(t, x, 503, "temporal") // which takes two seconds to find out
	s.Model.Release(2)
	seen = append(seen, stream.Until(t, event.MessageDelta)...)
	temporal.Heal(t)
	wantReadiness(t, x, 200, "")
	s.Model.Release(100)
	events := append(seen, stream.Rest(t)...)
	harness.WantWhole(t, events)
	if text(t, events) != answer || slices.Contains(harness.Types(events), event.AttemptRestarted) {
		t.Errorf("%q, %v", text(t, events), harness.Types(events))
	}
	if n := s.Model.Stats().Requests; n != 1 {
		t.Errorf("the model was asked %d times", n)
	}
}

// TestAStartThatNobodyHeardOf has Temporal take a run while its answer is lost. The caller is told 503,
// the run is taken back, and its workflow finds nothing; the same request again must make the run and
// have it executed, although a workflow of that id has been there.
func TestAStartThatNobodyHeardOf(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg, _, temporal := s.Behind(t)
	p := s.StartWith(t, cfg, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	thread := newThread(t, x)
	wantReadiness(t, x, 200, "")
	body := map[string]any{"input": "hello", "thread_id": thread}
	temporal.Mute()
	wantRefused(t, 10*time.Second, x, "POST", "/v1/runs", body, "Idempotency-Key", "k")
	temporal.Heal(t)
	wantRuns(t, s, x)
	wantEmptyThread(t, x, thread)
	worker := s.Start(t, app.Options{Worker: true}) // meets the workflow whose run is gone
	conn := s.Database.Conn(t)
	harness.Eventually(t, 30*time.Second, "the workflow without a run ends", func() bool {
		var id uuid.UUID
		err := conn.QueryRow(t.Context(), `select resource_id from idempotency_keys where tenant_id = $1`, x.ID).Scan(&id)
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.Temporal.DescribeWorkflowExecution(t.Context(), x.ID.String()+"/run/"+id.String(), "")
		return err == nil && d.GetWorkflowExecutionInfo().GetCloseTime().IsValid()
	})
	var r harness.Run
	x.Do(t, "POST", "/v1/runs", body, "Idempotency-Key", "k").Want(t, 202, &r)
	events := x.Follow(t, r.ID, 0).Rest(t)
	harness.WantWhole(t, events)
	if events[len(events)-1].Type != event.RunCompleted {
		t.Errorf("the run ended with %v", harness.Types(events))
	}
	wantRuns(t, s, x, r.ID)
	if err := worker.Stop(); err != nil {
		t.Error(err)
	}
}

// TestAStartThatTookEffect is the same with a worker at hand: when the answer is given up the run has
// begun, so the caller is told that it was accepted.
func TestAStartThatTookEffect(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg, _, temporal := s.Behind(t)
	p := s.StartWith(t, cfg, app.Options{API: true})
	s.Start(t, app.Options{Worker: true})
	x := p.NewTenant(t, agents.Config{})
	wantReadiness(t, x, 200, "")
	temporal.Mute()
	r := x.StartRun(t, `{"input": "hello"}`)
	temporal.Heal(t)
	events := x.Follow(t, r.ID, 0).Rest(t)
	harness.WantWhole(t, events)
	if events[len(events)-1].Type != event.RunCompleted {
		t.Errorf("the run ended with %v", harness.Types(events))
	}
	wantRuns(t, s, x, r.ID)
}
