package outage

import (
	"slices"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
)

const answer = "one two three four five six seven eight nine ten"

var gated = fakellm.Rule{Contains: "slowly", Reply: fakellm.Reply{Text: answer, Gated: true}}

func TestPostgresDown(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, gated)
	cfg, database, _ := s.Behind(t)
	p := s.StartWith(t, cfg, harness.All)
	other := s.StartWith(t, cfg, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	wantReadiness(t, x, 200, "")
	r := x.StartRun(t, `{"input": "count slowly"}`)
	there := *x
	there.URL = other.URL
	here, remote := x.Follow(t, r.ID, 0), there.Follow(t, r.ID, 0)
	s.Model.Release(3)
	seenHere, seenThere := here.Until(t, event.MessageDelta), remote.Until(t, event.MessageDelta)

	database.Cut()
	wantRefused(t, 10*time.Second, x, "POST", "/v1/runs", `{"input": "hello"}`)
	wantRefused(t, 10*time.Second, x, "POST", "/v1/runs", `{"input": "hello"}`, "Idempotency-Key", "k")
	wantRefused(t, 10*time.Second, x, "POST", "/v1/runs/stream", `{"input": "hello"}`)
	wantRefused(t, 10*time.Second, x, "POST", "/v1/runs/"+r.ID.String()+"/cancel", `{}`)
	wantRefused(t, 10*time.Second, x, "GET", "/v1/runs/"+r.ID.String(), nil)
	wantRefused(t, 10*time.Second, x, "GET", "/v1/runs/"+r.ID.String()+"/stream", nil)
	wantReadiness(t, x, 503, "postgres migrations")
	x.Do(t, "GET", "/healthz", nil).Want(t, 200)
	s.Model.Release(100)

	database.Heal(t)
	for name, events := range map[string][]event.Event{
		"the process that executes": append(seenHere, here.Rest(t)...), "another process": append(seenThere, remote.Rest(t)...),
	} {
		harness.WantWhole(t, events)
		if got := text(t, events); got != answer {
			t.Errorf("%s streams %q", name, got)
		}
		if n := len(events); events[n-1].Type != event.RunCompleted {
			t.Errorf("%s ends with %v", name, harness.Types(events))
		}
	}
	wantReadiness(t, x, 200, "")
	if r = x.FindRun(t, r.ID); r.Status != "completed" || *r.Output != answer {
		t.Errorf("the run is %+v", r)
	}
	wantRuns(t, s, x, r.ID)
	conn := s.Database.Conn(t)
	harness.Eventually(t, 10*time.Second, "all listen again: both processes to events and to changed API keys, the worker's to stops", func() bool {
		var n int
		err := conn.QueryRow(t.Context(), `select count(*) from pg_stat_activity where datname = current_database() and query like 'listen %'`).Scan(&n)
		return err == nil && n == 5
	})
	events := x.Follow(t, x.StartRun(t, `{"input": "hello"}`).ID, 0).Rest(t)
	harness.WantWhole(t, events)
}

// TestPostgresStalls has a network that swallows everything: nobody is refused, and nothing answers.
func TestPostgresStalls(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, gated)
	cfg, database, _ := s.Behind(t)
	cfg.Limits.RequestTimeout = 2 * time.Second
	p := s.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "count slowly"}`)
	stream := x.Follow(t, r.ID, 0)
	s.Model.Release(3)
	seen := stream.Until(t, event.MessageDelta)
	database.Stall()
	wantRefused(t, 10*time.Second, x, "POST", "/v1/runs", `{"input": "hello"}`)
	wantReadiness(t, x, 503, "postgres migrations")
	x.Do(t, "GET", "/healthz", nil).Want(t, 200)
	s.Model.Release(100)
	database.Heal(t)
	events := append(seen, stream.Rest(t)...)
	harness.WantWhole(t, events)
	if got := text(t, events); got != answer {
		t.Errorf("the text is %q", got)
	}
	wantReadiness(t, x, 200, "")
}

// TestAnAnswerLostOnTheWay lets Postgres commit and nobody hear of it: what is tried again must not
// appear twice.
func TestAnAnswerLostOnTheWay(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, gated)
	cfg, database, _ := s.Behind(t)
	p := s.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "count slowly"}`)
	stream := x.Follow(t, r.ID, 0)
	s.Model.Release(3)
	seen := stream.Until(t, event.MessageDelta)
	for range 3 {
		lost := database.LoseAnswerTo("commit")
		s.Model.Release(1)
		select {
		case <-lost:
		case <-time.After(20 * time.Second):
			t.Fatal("nothing was committed")
		}
	}
	s.Model.Release(100)
	events := append(seen, stream.Rest(t)...)
	harness.WantWhole(t, events)
	if got := text(t, events); got != answer {
		t.Errorf("the text is %q", got)
	}
	if types := harness.Types(events); slices.Contains(types, event.RunError) {
		t.Errorf("the run failed: %v", types)
	}
}

// TestStopWithoutPostgres stops a process whose database does not answer: it must not hang.
func TestStopWithoutPostgres(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*harness.Proxy){"cut": (*harness.Proxy).Cut, "stalled": (*harness.Proxy).Stall, "mute": (*harness.Proxy).Mute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.NewSystem(t, gated)
			cfg, database, _ := s.Behind(t)
			p := s.StartWith(t, cfg, harness.All)
			x := p.NewTenant(t, agents.Config{})
			stream := x.Follow(t, x.StartRun(t, `{"input": "count slowly"}`).ID, 0)
			s.Model.Release(3)
			stream.Until(t, event.MessageDelta)
			breakIt(database)
			s.Model.Release(1)
			began := pace.Start(t)
			if err := p.Stop(); err != nil {
				t.Errorf("it ended with %v", err)
			}
			if took := began.Took(); took > 15*time.Second {
				t.Errorf("it took %s to stop", took)
			}
		})
	}
}
