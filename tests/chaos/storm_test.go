package chaos

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

var (
	stormRuns = flag.Int("storm-runs", 40, "runs of TestStorm; make chaos has 300")
	stormSeed = flag.Uint64("storm-seed", 0, "what chance is drawn from; 0: another one each time")
)

const (
	apis    = 2
	workers = 2
	// every and limited: one run of forty is terminated, and one gets a time-out of Temporal's: 5 % together.
	every, terminated, limited = 40, 11, 31
	calm                       = 3 * time.Minute // within which everything has to be over once nothing is killed any more
)

// storm is the system while things are done to it.
type storm struct {
	s        *harness.System
	env      []string
	database *harness.Proxy
	chance   *rand.Rand
	urls     [apis]atomic.Pointer[string]
	apis     [apis]*harness.Child
	workers  [workers]*harness.Child
	blows    map[string]int
}

// TestStorm kills workers, API processes and connections to Postgres at random moments while runs are
// accepted, executed, terminated and timed out. Every run ends, its log has one start and one end and no
// hole, and whoever is to be told is told, and of nothing else.
func TestStorm(t *testing.T) {
	seed := *stormSeed
	if seed == 0 {
		seed = rand.Uint64() //nolint:gosec // nobody gains by guessing it
	}
	t.Logf("again: -run TestStorm -storm-runs %d -storm-seed %d", *stormRuns, seed)
	hooks := newReceiver(t, seed)
	s := harness.NewSystem(t,
		fakellm.Rule{Contains: "compute", Turn: fakellm.FirstTurn, Reply: fakellm.Reply{ToolCalls: []fakellm.ToolCall{{Name: "calculator", Arguments: `{"expression":"6*7"}`}}}},
		fakellm.Rule{Contains: "long", Reply: fakellm.Reply{Words: 4000, Delay: 20 * time.Millisecond}},
		fakellm.Rule{Reply: fakellm.Reply{Text: words(40), Delay: 15 * time.Millisecond}})
	st := &storm{s: s, chance: rand.New(rand.NewPCG(seed, 0)), blows: map[string]int{}} //nolint:gosec // repeatable on purpose
	st.begin(t, hooks)
	p := s.Start(t, app.Options{}) // has no role: it starts the runs that Temporal is to time out
	x := p.NewTenant(t, agents.Config{Tools: []agents.ToolRef{{Name: "calculator"}}})

	ctx, stop := context.WithTimeout(t.Context(), calm+time.Duration(*stormRuns)*time.Second)
	defer stop()
	ids, errs := make([]uuid.UUID, *stormRuns), make([]error, *stormRuns)
	calls := &caller{x: *x, urls: &st.urls}
	began := time.Now()
	var starting sync.WaitGroup
	for i := range *stormRuns {
		pause := time.Duration(i) * 150 * time.Millisecond
		switch i % every {
		case limited:
			ids[i] = s.StartLimited(t, p, x, client.StartWorkflowOptions{WorkflowExecutionTimeout: 2 * time.Second}, runs.NewRun{Input: "a long story"})
		default:
			life := time.Duration(st.chance.IntN(600)) * time.Millisecond
			starting.Go(func() {
				select {
				case <-ctx.Done():
				case <-time.After(pause): // they come one after the other, as callers do
				}
				if ids[i], errs[i] = calls.start(ctx, i); errs[i] == nil && i%every == terminated {
					errs[i] = terminate(ctx, s, x, ids[i], life)
				}
			})
		}
	}
	accepted := make(chan struct{})
	go func() {
		starting.Wait()
		close(accepted)
	}()
	st.rage(t, accepted)
	for i, err := range errs {
		if err != nil {
			t.Fatalf("run %d: %v", i, err)
		}
	}
	t.Logf("%d runs were accepted within %s, with %d requests made again; %v", len(ids), time.Since(began).Round(time.Millisecond), calls.retry.Load(), st.blows)
	x.URL = *st.urls[0].Load()
	st.wantEnded(t, x, ids)
	st.wantTold(t, x, hooks, ids)
	t.Logf("everything was over %s after the first run", time.Since(began).Round(time.Millisecond))
}

// begin starts the processes.
func (st *storm) begin(t *testing.T, hooks *receiver) {
	t.Helper()
	cfg, database, _ := st.s.Behind(t)
	st.database = database
	st.env = []string{
		"DATABASE_URL=" + cfg.DatabaseURL.Reveal(), "LARI_RECONCILE_EVERY=2s",
		"ALERTS_WEBHOOK_URL=" + hooks.url, "LARI_ALERTS_WEBHOOK_SECRET=" + alertsSecret,
	}
	// The process of the test announces too.
	st.s.Config.AlertsWebhookURL, st.s.Config.AlertsWebhookSecret = config.NewURL(hooks.url), config.NewSecret(alertsSecret)
	for i := range st.apis {
		st.api(t, i)
	}
	for i := range st.workers {
		st.workers[i] = st.s.Spawn(t, program, "worker", st.env...)
	}
}

func (st *storm) api(t *testing.T, i int) {
	t.Helper()
	st.apis[i] = st.s.Spawn(t, program, "api", st.env...)
	st.urls[i].Store(&st.apis[i].URL)
}

// rage strikes until everything has been accepted, and leaves a whole system behind.
func (st *storm) rage(t *testing.T, accepted <-chan struct{}) {
	t.Helper()
	strikes := []struct {
		name string
		blow func()
	}{
		{"workers killed", func() {
			i := st.chance.IntN(workers)
			st.workers[i].Kill()
			st.workers[i] = st.s.Spawn(t, program, "worker", st.env...)
		}},
		{"APIs killed", func() {
			i := st.chance.IntN(apis)
			st.apis[i].Kill()
			st.api(t, i)
		}},
		{"connections terminated", func() { st.terminateConnections(t) }},
		{"networks cut", func() {
			st.database.Cut()
			<-time.After(time.Duration(st.chance.IntN(300)) * time.Millisecond)
			st.database.Heal(t)
		}},
	}
	for n := 0; ; n++ {
		select {
		case <-accepted:
			if n >= len(strikes) {
				return
			}
		case <-time.After(time.Duration(200+st.chance.IntN(1300)) * time.Millisecond):
		}
		strike := strikes[n%len(strikes)] // each at least once, then by chance
		if n >= len(strikes) {
			strike = strikes[st.chance.IntN(len(strikes))]
		}
		strike.blow()
		st.blows[strike.name]++
	}
}

// terminateConnections ends about half of the connections to the database.
func (st *storm) terminateConnections(t *testing.T) {
	t.Helper()
	_, err := st.s.Database.Conn(t).Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid() and pid % 2 = $1`, st.chance.IntN(2))
	if err != nil {
		t.Fatal(err)
	}
}

// wantEnded demands that every run is final, with a whole log, and that there is no other run.
func (st *storm) wantEnded(t *testing.T, x *harness.Tenant, ids []uuid.UUID) {
	t.Helper()
	conn := st.s.Database.Conn(t)
	var open int
	deadline := time.Now().Add(calm)
	harness.Eventually(t, calm, "every run is final", func() bool {
		err := conn.QueryRow(t.Context(), `select count(*) from agent_runs where finished_at is null`).Scan(&open)
		if err != nil || time.Until(deadline) < 5*time.Second && open > 0 {
			t.Fatalf("%d runs have not ended (%v)", open, err)
		}
		return open == 0
	})
	ends := map[string]int{}
	for i, id := range ids {
		events := x.Follow(t, id, 0).Rest(t)
		if err := harness.Whole(events); err != nil {
			t.Errorf("run %d %s: %v", i, id, err)
		}
		r := x.FindRun(t, id)
		end := r.Status
		if r.Error != nil {
			end += " " + string(r.Error.Code)
		}
		ends[end]++
		switch i % every {
		case terminated:
			if end != "completed" && end != "failed terminated" {
				t.Errorf("run %d was terminated and is %s", i, end)
			}
		case limited:
			if end != "timed_out timeout" {
				t.Errorf("run %d was timed out and is %s", i, end)
			}
		default:
			if end != "completed" || *r.Output != words(40) {
				t.Errorf("run %d is %s", i, end)
			}
		}
	}
	t.Logf("%d of %d runs are final: %v", len(ids), len(ids), ends)
	var all, rows int
	err := conn.QueryRow(t.Context(), `select (select count(*) from agent_runs), (select count(*) from audit_logs where resource_type = 'run' and action like 'run.%')`).Scan(&all, &rows)
	if err != nil || all != len(ids) {
		t.Errorf("there are %d runs (%v), want %d", all, err, len(ids))
	}
	harness.Eventually(t, calm, "the trail has two rows of each run", func() bool {
		err := conn.QueryRow(t.Context(), `select count(*) from audit_logs where resource_type = 'run' and action like 'run.%'`).Scan(&rows)
		if err != nil || rows > 2*all {
			t.Fatalf("the trail has %d rows of %d runs: %v", rows, all, err)
		}
		return rows == 2*all
	})
}

// wantTold demands that the receiver took the end of every run, signed, and nothing else.
func (st *storm) wantTold(t *testing.T, x *harness.Tenant, hooks *receiver, ids []uuid.UUID) {
	t.Helper()
	want := map[string]bool{}
	for _, id := range ids {
		events := x.Follow(t, id, 0).Rest(t)
		if end := events[len(events)-1]; end.Type == event.RunCompleted || end.Type == event.RunError {
			want[fmt.Sprintf("%s:%d:alerts", id, end.Seq)] = true
		}
	}
	harness.Eventually(t, calm, "every webhook was taken", func() bool {
		taken, _, _ := hooks.got()
		for id := range want {
			if taken[id] == 0 {
				return false
			}
		}
		return true
	})
	taken, unsigned, requests := hooks.got()
	for id := range taken {
		if !want[id] {
			t.Errorf("the webhook %s tells of no end", id)
		}
	}
	for _, complaint := range unsigned {
		t.Errorf("the signature does not hold: %s", complaint)
	}
	t.Logf("%d webhooks were taken, in %d requests", len(taken), requests)
}
