package outage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/harness"
)

var program string // the program, built once

func TestMain(m *testing.M) { os.Exit(harness.WithProgram(m, &program)) }

const (
	killSeed = 7
	lives    = 6 // of the API
	posts    = 5 // in each
)

// TestKilledAPI kills the API process at random moments while it accepts runs. Whatever was accepted is
// executed, and every request, made again with its key, gives the run that it made.
func TestKilledAPI(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	worker := s.Start(t, app.Options{Worker: true})
	x := worker.NewTenant(t, agents.Config{})
	chance := rand.New(rand.NewPCG(killSeed, 0)) //nolint:gosec // repeatable on purpose
	var mu sync.Mutex
	accepted := map[string]uuid.UUID{} // by key: what a caller was told
	post := func(ctx context.Context, x harness.Tenant, key string, answered chan<- bool) {
		defer func() { answered <- true }()
		a, err := x.Try(ctx, "POST", "/v1/runs", fmt.Sprintf(`{"input": %q}`, key), "Idempotency-Key", key)
		var r harness.Run
		if err != nil || a.Status != 202 || json.Unmarshal(a.Body, &r) != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		accepted[key] = r.ID
	}
	for life := range lives {
		api := s.Spawn(t, program, "api")
		there := *x
		there.URL = api.URL
		var all sync.WaitGroup
		answered := make(chan bool, posts)
		for i := range posts {
			all.Go(func() { post(t.Context(), there, fmt.Sprintf("run-%d-%d", life, i), answered) })
		}
		for range life % posts { // it dies right after so many answers, and a moment
			<-answered
		}
		<-time.After(time.Duration(chance.IntN(10)) * time.Millisecond)
		api.Kill()
		all.Wait()
	}
	t.Logf("%d of %d requests were answered", len(accepted), lives*posts)
	api := s.Spawn(t, program, "api")
	x.URL = api.URL
	conn := s.Database.Conn(t)
	// The dead are believed to be alive for a minute; the test does not wait for it.
	if _, err := conn.Exec(t.Context(), `update idempotency_keys set locked_until = '-infinity' where status is null`); err != nil {
		t.Fatal(err)
	}
	ids := map[uuid.UUID]bool{}
	for life := range lives {
		for i := range posts {
			key := fmt.Sprintf("run-%d-%d", life, i)
			var r harness.Run
			harness.Eventually(t, 20*time.Second, "the request is accepted", func() bool {
				a := x.Do(t, "POST", "/v1/runs", fmt.Sprintf(`{"input": %q}`, key), "Idempotency-Key", key)
				return a.Status == 202 && json.Unmarshal(a.Body, &r) == nil
			})
			if told, ok := accepted[key]; ok && told != r.ID {
				t.Errorf("%s made %s first and %s then", key, told, r.ID)
			}
			ids[r.ID] = true
		}
	}
	if len(ids) != lives*posts {
		t.Errorf("%d requests made %d runs", lives*posts, len(ids))
	}
	for id := range ids {
		events := x.Follow(t, id, 0).Rest(t)
		harness.WantWhole(t, events)
		if events[len(events)-1].Type != event.RunCompleted {
			t.Errorf("run %s: %v", id, harness.Types(events))
		}
	}
	var n int
	if err := conn.QueryRow(t.Context(), `select count(*) from agent_runs`).Scan(&n); err != nil || n != len(ids) {
		t.Errorf("%d runs are there (%v), want %d", n, err, len(ids))
	}
}

// TestWorkerIsStoppedMidway stops a worker while it streams: another one takes over and tells readers
// to discard what the first had written.
func TestWorkerIsStoppedMidway(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, gated)
	p := s.Start(t, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	first := s.Spawn(t, program, "worker", "LARI_SHUTDOWN_TIMEOUT=1s")
	stream := x.Follow(t, x.StartRun(t, `{"input": "count slowly"}`).ID, 0)
	s.Model.Release(3)
	events := stream.Until(t, event.MessageDelta)
	s.Spawn(t, program, "worker")
	first.Signal(t, syscall.SIGTERM)
	if code := first.Exit(t, 20*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.Model.Release(100)
	events = append(events, stream.Rest(t)...)
	harness.WantWhole(t, events)
	if !slices.Contains(harness.Types(events), event.AttemptRestarted) || events[len(events)-1].Type != event.RunCompleted || text(t, events) != answer {
		t.Errorf("%v, %q", harness.Types(events), text(t, events))
	}
}

// TestWorkerIsKilledMidway is the same with kill -9: the server notices by the missing heartbeat.
func TestWorkerIsKilledMidway(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, gated)
	p := s.Start(t, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	first := s.Spawn(t, program, "worker")
	stream := x.Follow(t, x.StartRun(t, `{"input": "count slowly"}`).ID, 0)
	s.Model.Release(3)
	events := stream.Until(t, event.MessageDelta)
	first.Kill()
	s.Spawn(t, program, "worker")
	s.Model.Release(100)
	events = append(events, stream.Rest(t)...)
	harness.WantWhole(t, events)
	if events[len(events)-1].Type != event.RunCompleted || text(t, events) != answer {
		t.Errorf("%v, %q", harness.Types(events), text(t, events))
	}
}

// TestAPIIsStoppedWithStreamsOpen: the streams end without a final event, and go on elsewhere from where they
// were.
func TestAPIIsStoppedWithStreamsOpen(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, gated)
	worker := s.Start(t, app.Options{Worker: true})
	x := worker.NewTenant(t, agents.Config{})
	api := s.Spawn(t, program, "api")
	x.URL = api.URL
	id := x.StartRun(t, `{"input": "count slowly"}`).ID
	streams := []*harness.Stream{x.Follow(t, id, 0), x.Follow(t, id, 0), x.Follow(t, id, 0)}
	s.Model.Release(3)
	seen := make([][]event.Event, len(streams))
	for i, stream := range streams {
		seen[i] = stream.Until(t, event.MessageDelta)
	}
	api.Signal(t, syscall.SIGTERM)
	if code := api.Exit(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for i, stream := range streams {
		for {
			e, err := stream.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Errorf("the stream was not ended but broken: %v", err)
				break
			}
			seen[i] = append(seen[i], e)
		}
	}
	x.URL = s.Spawn(t, program, "api").URL
	s.Model.Release(100)
	for i := range streams {
		events := append(seen[i], x.Follow(t, id, seen[i][len(seen[i])-1].Seq).Rest(t)...)
		harness.WantWhole(t, events)
		if text(t, events) != answer {
			t.Errorf("stream %d: %q", i, text(t, events))
		}
	}
}
