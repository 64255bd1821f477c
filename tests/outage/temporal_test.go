package outage

import (
	"path"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

func newThread(t *testing.T, x *harness.Tenant) uuid.UUID {
	t.Helper()
	var thread struct {
		ID uuid.UUID `json:"id"`
	}
	x.Do(t, "POST", "/v1/threads", `{}`).Want(t, 201, &thread)
	return thread.ID
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
	// Acceptance needs Postgres alone.
	plain := x.StartRun(t, `{"input": "hello"}`)
	var onThread, again harness.Run
	x.Do(t, "POST", "/v1/runs", body, "Idempotency-Key", "k").Want(t, 202, &onThread)
	x.Do(t, "POST", "/v1/runs", body, "Idempotency-Key", "k").Want(t, 202, &again)
	if plain.Status != "queued" || onThread.Status != "queued" || again.ID != onThread.ID {
		t.Errorf("the runs are %+v, %+v and %+v", plain, onThread, again)
	}
	streamed := x.OpenRun(t, `{"input": "hello"}`)
	streamedID := uuid.MustParse(path.Base(streamed.Header.Get("Location")))
	wantRuns(t, s, x, goesOn.ID, stops.ID, plain.ID, onThread.ID, streamedID)
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
	for _, accepted := range []*harness.Stream{streamed, x.Follow(t, plain.ID, 0), x.Follow(t, onThread.ID, 0)} { // without another request
		events := accepted.Rest(t)
		harness.WantWhole(t, events)
		if events[len(events)-1].Type != event.RunCompleted {
			t.Errorf("a run that was accepted meanwhile ended with %v", harness.Types(events))
		}
	}
	x.Do(t, "POST", "/v1/runs", body, "Idempotency-Key", "k").Want(t, 202, &again)
	if again.ID != onThread.ID {
		t.Errorf("the same request made %s beside %s", again.ID, onThread.ID)
	}
	wantRuns(t, s, x, goesOn.ID, stops.ID, plain.ID, onThread.ID, streamedID)
}

func TestTemporalStalls(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg, _, temporal := s.Behind(t)
	p := s.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, agents.Config{})
	wantReadiness(t, x, 200, "")
	temporal.Stall()
	r := x.StartRun(t, `{"input": "hello"}`)
	if r.Status != "queued" {
		t.Errorf("the run is %+v", r)
	}
	wantReadiness(t, x, 503, "temporal")
	wantRuns(t, s, x, r.ID)
	temporal.Heal(t)
	harness.WantWhole(t, x.Follow(t, r.ID, 0).Rest(t))
	wantReadiness(t, x, 200, "")
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

// TestStartWithLostAnswer_RunsOnce has Temporal take a run while its answer is lost, and nobody execute it. The run
// is accepted; the dispatcher tries again and meets the workflow of the first start. The model is asked once.
func TestStartWithLostAnswer_RunsOnce(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg, _, temporal := s.Behind(t)
	p := s.StartWith(t, cfg, app.Options{API: true}, soon)
	x := p.NewTenant(t, agents.Config{})
	thread := newThread(t, x)
	wantReadiness(t, x, 200, "")
	body := map[string]any{"input": "hello", "thread_id": thread}
	temporal.Mute()
	var r, again harness.Run
	x.Do(t, "POST", "/v1/runs", body, "Idempotency-Key", "k").Want(t, 202, &r)
	harness.Eventually(t, 30*time.Second, "Temporal has the run", func() bool {
		_, err := s.Temporal.DescribeWorkflowExecution(t.Context(), workflows.RunWorkflowID(x.ID, r.ID), "")
		return err == nil
	})
	temporal.Heal(t)
	conn := s.Database.Conn(t)
	harness.Eventually(t, 30*time.Second, "the dispatcher has told Temporal of the run", func() (told bool) {
		if err := conn.QueryRow(t.Context(), `select dispatched_at is not null from agent_runs where id = $1`, r.ID).Scan(&told); err != nil {
			t.Fatal(err)
		}
		return told
	})
	worker := s.Start(t, app.Options{Worker: true})
	events := x.Follow(t, r.ID, 0).Rest(t)
	harness.WantWhole(t, events)
	if events[len(events)-1].Type != event.RunCompleted {
		t.Errorf("the run ended with %v", harness.Types(events))
	}
	x.Do(t, "POST", "/v1/runs", body, "Idempotency-Key", "k").Want(t, 202, &again)
	if n := s.Model.Stats().Requests; n != 1 || again.ID != r.ID {
		t.Errorf("the model was asked %d times; the same request gives %s and %s", n, r.ID, again.ID)
	}
	wantRuns(t, s, x, r.ID)
	if err := worker.Stop(); err != nil {
		t.Error(err)
	}
}

// TestAStartThatTookEffect is the same with a worker at hand.
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
