package runs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/stream"
	"github.com/larirun/lari/internal/runs"
)

// unobserved is an observer that nobody asks.
type unobserved struct{}

func (unobserved) Opened(stream.Key)               {}
func (unobserved) Closed(stream.Key)               {}
func (unobserved) Delivered(stream.Key, int, bool) {}

// openLog is the log as one process has it, with appender and listener.
func openLog(t *testing.T, d *pgtest.Database) *runs.Log {
	t.Helper()
	l := runs.NewLog(d.Open(t, postgres.Config{MaxConns: 6}), unobserved{}, func(int, time.Duration) {}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { l.RunAppender(ctx) })
	listener, listening := l.Listener(d.URL), make(chan struct{})
	connected, once := listener.Connected, sync.OnceFunc(func() { close(listening) })
	listener.Connected = func() {
		connected()
		once()
	}
	running.Go(func() { listener.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	<-listening
	return l
}

// emptyRuns makes runs that are under way and have an empty log.
func emptyRuns(t *testing.T, d *pgtest.Database, tenant uuid.UUID, n int) []uuid.UUID {
	t.Helper()
	conn := d.Conn(t)
	agent := uuid.Must(uuid.NewV7())
	if _, err := conn.Exec(t.Context(), `insert into agents (id, tenant_id, slug, name, version, created_at, updated_at)
		values ($1, $2, 'assistant', 'Assistant', 1, now(), now())`, agent, tenant); err != nil {
		t.Fatal(err)
	}
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7())
	}
	_, err := conn.Exec(t.Context(), `
		with made as (
			insert into agent_runs (id, tenant_id, agent_id, agent_version, status, input, max_steps, timeout_seconds, approval_seconds, created_by, created_at, started_at)
			select id, $2, $3, 1, 'running', '[]', 10, 600, 600, 'test', now(), now() from unnest($1::uuid[]) as id returning id)
		insert into run_logs (run_id, tenant_id) select id, $2 from made`, ids, tenant, agent)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// Two processes write the same logs and followers hang on both: every follower gets the exact log, also
// while the sessions that carry the notifications are killed.
func TestFollowersOfTwoProcessesGetTheExactLog(t *testing.T) {
	t.Parallel()
	const nRuns, nTenants, nWriters, nFollowers, perWriter = 50, 2, 8, 100, 250
	d := pgtest.New(t)
	logs := []*runs.Log{openLog(t, d), openLog(t, d)}
	type target struct {
		ctx context.Context
		run uuid.UUID
	}
	var targets []target
	for i := range nTenants {
		ctx, tenant := d.Tenant(t, fmt.Sprintf("t%d", i))
		for _, run := range emptyRuns(t, d, tenant, nRuns/nTenants) {
			targets = append(targets, target{ctx, run})
		}
	}

	var added atomic.Int64
	var writing, following sync.WaitGroup
	halfway := make(chan struct{})
	for w := range nWriters {
		writing.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for n := range perWriter {
				x := targets[random.IntN(len(targets))]
				ticket, err := logs[random.IntN(2)].Add(x.ctx, x.run, event.Draft{Type: event.MessageDelta, Data: event.Delta{
					MessageID: fmt.Sprint(w), Attempt: n + 1, Text: fmt.Sprintf("%d.%d", w, n), // no two are joined
				}})
				if err == nil && n%20 == 0 {
					err = ticket.Wait(x.ctx)
				}
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
				if added.Add(1) == nWriters*perWriter/2 {
					close(halfway)
				}
			}
		})
	}
	type follower struct {
		run   int
		after int64
		seen  []event.Event
	}
	followers := make([]*follower, nFollowers)
	for i := range followers {
		random := rand.New(rand.NewPCG(2, uint64(i)))
		f := &follower{run: i % nRuns}
		followers[i] = f
		following.Go(func() {
			x := targets[f.run]
			if i >= nRuns { // the others join in the middle, at any position
				<-halfway
				page, err := logs[i%2].Page(x.ctx, x.run, 0, 1000)
				if err != nil {
					t.Errorf("follower %d: %v", i, err)
					return
				}
				f.after = int64(random.IntN(len(page) + 1))
			}
			err := logs[random.IntN(2)].Follow(x.ctx, x.run, f.after, func(batch []event.Event) error {
				f.seen = append(f.seen, batch...)
				return nil
			})
			if err != nil {
				t.Errorf("follower %d: %v", i, err)
			}
		})
	}
	<-halfway
	killed := killListeners(t, d)
	writing.Wait()
	for i, x := range targets {
		ticket, err := logs[i%2].Add(x.ctx, x.run, event.Draft{Type: event.RunCompleted, Data: event.Completed{}})
		if err == nil {
			err = ticket.Wait(x.ctx)
		}
		if err != nil {
			t.Fatalf("end of run %d: %v", i, err)
		}
	}
	following.Wait()

	total, delivered := 0, 0
	truth := make([][]event.Event, len(targets))
	for i, x := range targets {
		truth[i] = wholeLog(t, d, x.run)
		total += len(truth[i])
		noneTwice(t, truth[i])
	}
	if want := nWriters*perWriter + nRuns; total != want {
		t.Errorf("%d events are in the logs, %d were added", total, want)
	}
	for i, f := range followers {
		delivered += len(f.seen)
		want := truth[f.run][f.after:]
		if !slices.EqualFunc(f.seen, want, func(a, b event.Event) bool { return a.Seq == b.Seq && a.Type == b.Type && sameJSON(a.Data, b.Data) }) {
			t.Errorf("follower %d after %d got %d events, %d stand there", i, f.after, len(f.seen), len(want))
		}
	}
	t.Logf("%d events, %d delivered, %d listeners killed", total, delivered, killed)
}

// killListeners ends the sessions that LISTEN, as a failover would, and gives how many there were.
func killListeners(t *testing.T, d *pgtest.Database) int {
	t.Helper()
	rows, err := d.Conn(t).Query(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
		where datname = current_database() and query ilike 'listen %' and pid <> pg_backend_pid()`)
	if err != nil {
		t.Fatal(err)
	}
	killed, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	if err != nil || len(killed) != 2 {
		t.Fatalf("%d listeners were killed, want 2; error %v", len(killed), err)
	}
	return len(killed)
}

// wholeLog reads a log behind the code's back and demands that it has no hole.
func wholeLog(t *testing.T, d *pgtest.Database, run uuid.UUID) []event.Event {
	t.Helper()
	rows, err := d.Conn(t).Query(t.Context(), `select seq, type, data from run_events where run_id = $1 order by seq`, run)
	if err != nil {
		t.Fatal(err)
	}
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e event.Event, err error) {
		return e, row.Scan(&e.Seq, &e.Type, &e.Data)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if e.Seq != int64(i+1) || e.Final() != (i == len(events)-1) {
			t.Fatalf("event %d of run %s is %d %s", i+1, run, e.Seq, e.Type)
		}
	}
	return events
}

// noneTwice demands that no delta was written again.
func noneTwice(t *testing.T, events []event.Event) {
	t.Helper()
	seen := map[string]bool{}
	for _, e := range events {
		var delta event.Delta
		if err := json.Unmarshal(e.Data, &delta); err != nil {
			t.Fatal(err)
		}
		if e.Type == event.MessageDelta && seen[delta.Text] {
			t.Errorf("%s stands twice in the log", delta.Text)
		}
		seen[delta.Text] = true
	}
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	return errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}

// What one process adds to a run keeps its order, whatever the batches.
func TestOneProcessKeepsTheOrderOfItsAdds(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	l := openLog(t, d)
	ctx, tenant := d.Tenant(t, "acme")
	ids := emptyRuns(t, d, tenant, 4)
	var writing sync.WaitGroup
	for _, run := range ids {
		writing.Go(func() {
			for n := range 300 {
				typ, data := event.MessageDelta, any(event.Delta{MessageID: "m", Attempt: 1, Text: fmt.Sprintf("%d ", n)})
				if n%50 == 49 {
					typ, data = event.RunProgress, event.Progress{Step: n}
				}
				if n == 299 {
					typ, data = event.RunCompleted, event.Completed{}
				}
				if _, err := l.Add(ctx, run, event.Draft{Type: typ, Data: data}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, run := range ids {
		var text string
		if err := l.Follow(ctx, run, 0, func(batch []event.Event) error {
			for _, e := range batch {
				var p struct {
					Text string
					Step int
				}
				if err := json.Unmarshal(e.Data, &p); err != nil {
					return err
				}
				if e.Type == event.RunProgress {
					p.Text = fmt.Sprintf("%d ", p.Step)
				}
				text += p.Text
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		want := ""
		for n := range 299 {
			want += fmt.Sprintf("%d ", n)
		}
		if text != want {
			t.Errorf("the log says %q", text)
		}
	}
	writing.Wait()
}

// Another tenant's run does not exist, and a position beyond the log is refused.
func TestWhatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	l := openLog(t, d)
	ctx, tenant := d.Tenant(t, "acme")
	other, _ := d.Tenant(t, "other")
	run := emptyRuns(t, d, tenant, 1)[0]
	none := func([]event.Event) error {
		t.Error("something was sent")
		return nil
	}
	for name, c := range map[string]struct {
		ctx   context.Context
		run   uuid.UUID
		after int64
	}{
		"another tenant's": {other, run, 0}, "none": {ctx, uuid.New(), 0}, "beyond": {ctx, run, 1}, "negative": {ctx, run, -1},
	} {
		if err := l.Follow(c.ctx, c.run, c.after, none); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
