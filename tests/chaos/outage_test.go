package chaos

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

var (
	outages    = flag.String("outages", "", "how long Postgres is away in TestOutages, one time after the other, as 30s,5m; empty: not at all")
	outageRuns = flag.Int("outage-runs", 300, "runs of TestOutages")
)

const (
	arrival  = 100 * time.Millisecond // between two runs
	answered = 40                     // words of an answer
)

// TestOutages takes Postgres away from the workers while runs arrive: at that moment some of them begin, think, ask, act
// and end, and those that arrive meanwhile begin without it. A worker is killed on the way. Every run completes.
func TestOutages(t *testing.T) {
	if *outages == "" {
		t.Skip("make chaos has it; tests/outage has the short form")
	}
	s := harness.NewSystem(t,
		fakellm.Rule{Contains: "compute", Turn: fakellm.FirstTurn, Reply: fakellm.Reply{ToolCalls: []fakellm.ToolCall{{Name: "calculator", Arguments: `{"expression":"6*7"}`}}}},
		fakellm.Rule{Reply: fakellm.Reply{Text: words(answered), Delay: 15 * time.Millisecond}})
	cfg, database, _ := s.Behind(t)
	env := []string{"DATABASE_URL=" + cfg.DatabaseURL.Reveal(), "LARI_RECONCILE_EVERY=2s"}
	var worked [workers]*harness.Child
	for i := range worked {
		worked[i] = s.Spawn(t, program, "worker", env...)
	}
	p := s.Start(t, app.Options{API: true})
	plain := p.NewTenant(t, agents.Config{Tools: []agents.ToolRef{{Name: "calculator"}}})
	asking := p.NewTenant(t, agents.Config{Tools: []agents.ToolRef{{Name: "calculator", NeedsApproval: true}}})
	approving, stop := context.WithCancel(t.Context())
	var approver sync.WaitGroup
	conn := s.Database.Conn(t)
	approver.Go(func() { approveAll(approving, t, conn, asking) })
	defer approver.Wait()
	defer stop()

	lengths := strings.Split(*outages, ",")
	started := map[uuid.UUID]*harness.Tenant{}
	for n, text := range lengths {
		length, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		share := *outageRuns / len(lengths)
		var over <-chan time.Time
		for i := range share {
			x, input := plain, "tell me"
			if i%3 > 0 {
				input = "compute this"
			}
			if i%3 == 2 {
				x = asking
			}
			started[accept(t, x, input, fmt.Sprintf("outage-%d-%d", n, i))] = x
			<-time.After(arrival)
			if i == share*2/3 {
				database.Cut()
				over = time.After(length)
			}
		}
		worked[n%workers].Kill()
		worked[n%workers] = s.Spawn(t, program, "worker", env...)
		<-over
		database.Heal(t)
		began := time.Now()
		wantAllFinal(t, s)
		t.Logf("Postgres was away for %s; the last of %d runs ended %s after", length, len(started), time.Since(began).Round(time.Millisecond))
	}
	completed := 0
	for id, x := range started {
		events := x.Follow(t, id, 0).Rest(t)
		if err := harness.Whole(events); err != nil {
			t.Errorf("run %s: %v", id, err)
		}
		if r := x.FindRun(t, id); r.Status != "completed" || *r.Output != words(answered) {
			t.Errorf("run %s is %s: %+v", id, r.Status, r.Error)
			continue
		}
		completed++
	}
	t.Logf("%d of %d runs completed", completed, len(started))
}

// accept starts a run as a patient client does: a busy machine may refuse it at first.
func accept(t *testing.T, x *harness.Tenant, input, key string) (id uuid.UUID) {
	t.Helper()
	harness.Eventually(t, patience, "the run is accepted", func() bool {
		a := x.Do(t, "POST", "/v1/runs", map[string]string{"input": input}, "Idempotency-Key", key)
		if a.Status == http.StatusServiceUnavailable || a.Status == http.StatusConflict {
			return false
		}
		var r harness.Run
		a.Want(t, http.StatusAccepted, &r)
		id = r.ID
		return true
	})
	return id
}

// wantAllFinal waits until no run is unfinished.
func wantAllFinal(t *testing.T, s *harness.System) {
	t.Helper()
	conn := s.Database.Conn(t)
	harness.Eventually(t, calm, "every run is final", func() bool {
		var open int
		err := conn.QueryRow(t.Context(), `select count(*) from agent_runs where finished_at is null`).Scan(&open)
		if err != nil {
			t.Fatal(err)
		}
		return open == 0
	})
}

// approveAll says yes to every question until ctx ends.
func approveAll(ctx context.Context, t *testing.T, conn *pgx.Conn, x *harness.Tenant) {
	t.Helper()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		rows, err := conn.Query(ctx, `select run_id, id from approvals where status = 'pending'`)
		if err != nil {
			continue // the test is over
		}
		var open []string
		for rows.Next() {
			var run, id uuid.UUID
			if err := rows.Scan(&run, &id); err != nil {
				t.Error(err)
			}
			open = append(open, fmt.Sprintf("/v1/runs/%s/approvals/%s", run, id))
		}
		rows.Close()
		for _, path := range open {
			a, err := x.Try(ctx, "POST", path, `{"decision": "approve"}`)
			if err == nil && a.Status != 200 {
				t.Errorf("%s was answered with %d: %s", path, a.Status, a.Body)
			}
		}
	}
}
