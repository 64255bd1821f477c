package runs_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/runs"
)

// crowd is more rows than a page of any pass holds.
const crowd = 260

// passFixture is the dispatcher and the reconciler over a real database with two tenants. What the engine and the
// connectors do with the runs of the first one is the test's to say.
type passFixture struct {
	*runs.Service
	db *pgtest.Database

	first, second uuid.UUID // tenants, in the order of their ids
	agents        map[uuid.UUID]uuid.UUID

	start    func(ctx context.Context, r runs.Run) error // nil: it is started
	cancel   func(run uuid.UUID) error
	signal   func(approval uuid.UUID) error
	announce func(r runs.Run) error
	fate     func(run uuid.UUID) (runs.Fate, error)
	closed   []runs.Closed

	mu        sync.Mutex
	started   []uuid.UUID
	cancelled []uuid.UUID
	signalled []uuid.UUID
	announced []uuid.UUID
}

func newPassFixture(t *testing.T) *passFixture {
	t.Helper()
	f := &passFixture{db: pgtest.New(t), agents: map[uuid.UUID]uuid.UUID{}}
	f.Service = runs.NewService(runs.Deps{
		DB: f.db.DB, Log: openLog(t, f.db), Engine: passEngine{f: f}, Announcer: passAnnouncer{f}, Outbox: noOutbox{}, Agents: noAgents{},
		Threads: noThreads{}, Observer: noObserver{}, Logger: slog.New(slog.DiscardHandler), DispatchIn: time.Second,
	})
	_, f.first = f.db.Tenant(t, "a")
	_, f.second = f.db.Tenant(t, "b")
	if bytes.Compare(f.first[:], f.second[:]) > 0 {
		f.first, f.second = f.second, f.first
	}
	for _, tenant := range []uuid.UUID{f.first, f.second} {
		f.agents[tenant] = uuid.Must(uuid.NewV7())
		f.exec(t, `insert into agents (id, tenant_id, slug, name, version, created_at, updated_at) values ($1, $2, 'assistant', 'Assistant', 1, now(), now())`,
			f.agents[tenant], tenant)
	}
	return f
}

func (f *passFixture) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := f.db.DB.Exec(postgres.AsSystem(t.Context()), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// insert adds runs of a tenant, one after the other from an hour ago on, and sets columns of theirs.
func (f *passFixture) insert(t *testing.T, tenant uuid.UUID, n int, status, set string) []uuid.UUID {
	t.Helper()
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7())
	}
	f.exec(t, `with made as (
			insert into agent_runs (id, tenant_id, agent_id, agent_version, status, input, max_steps, timeout_seconds, approval_seconds, created_by, created_at, finished_at)
			select id, $2, $3, 1, $4, '[]', 10, 600, 600, 'test', now() - interval '1 hour' + nr * interval '1 millisecond',
				case when $4 = 'completed' then now() end
			from unnest($1::uuid[]) with ordinality as u (id, nr) returning id)
		insert into run_logs (run_id, tenant_id) select id, $2 from made`, ids, tenant, f.agents[tenant], status)
	f.exec(t, `update agent_runs set `+set+` where id = any ($1)`, ids)
	return ids
}

// onThreads puts each run onto a thread of its own.
func (f *passFixture) onThreads(t *testing.T, tenant uuid.UUID, ids []uuid.UUID) {
	t.Helper()
	f.exec(t, `insert into threads (id, tenant_id, title, metadata, created_at, updated_at) select id, $2, '', '{}', now(), now() from unnest($1::uuid[]) id`, ids, tenant)
	f.exec(t, `update agent_runs set thread_id = id where id = any ($1)`, ids)
}

// within makes passes until something has happened. A pass that fails says only that one of its rows did.
func (f *passFixture) within(t *testing.T, passes int, what string, happened func() bool) {
	t.Helper()
	for range passes {
		_ = f.Dispatch(t.Context())
		f.mu.Lock()
		done := happened()
		f.mu.Unlock()
		if done {
			return
		}
	}
	t.Errorf("%d passes and not: %s", passes, what)
}

type passEngine struct {
	runs.Engine
	f *passFixture
}

func (e passEngine) StartRun(ctx context.Context, r runs.Run) error {
	if e.f.start != nil && r.TenantID == e.f.first {
		if err := e.f.start(ctx, r); err != nil {
			return err
		}
	}
	e.f.mu.Lock()
	defer e.f.mu.Unlock()
	e.f.started = append(e.f.started, r.ID)
	return nil
}

func (e passEngine) CancelRun(_ context.Context, tenant, run uuid.UUID) error {
	if e.f.cancel != nil && tenant == e.f.first {
		return e.f.cancel(run)
	}
	e.f.mu.Lock()
	defer e.f.mu.Unlock()
	e.f.cancelled = append(e.f.cancelled, run)
	return nil
}

func (e passEngine) SignalApproval(_ context.Context, tenant, _, approval uuid.UUID) error {
	if e.f.signal != nil && tenant == e.f.first {
		return e.f.signal(approval)
	}
	e.f.mu.Lock()
	defer e.f.mu.Unlock()
	e.f.signalled = append(e.f.signalled, approval)
	return nil
}

func (e passEngine) FindFate(_ context.Context, tenant, run uuid.UUID) (runs.Fate, error) {
	if e.f.fate != nil && tenant == e.f.first {
		return e.f.fate(run)
	}
	return runs.Fate{Ending: runs.EndingTerminated}, nil
}

func (e passEngine) FindClosed(context.Context, runs.Window, int) ([]runs.Closed, string, error) {
	return e.f.closed, "", nil
}

type passAnnouncer struct{ f *passFixture }

func (p passAnnouncer) Wants(runs.Run, event.Event) bool { return true }

func (p passAnnouncer) Announce(_ context.Context, r runs.Run, _ []event.Event) error {
	if p.f.announce != nil && r.TenantID == p.f.first {
		return p.f.announce(r)
	}
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	p.f.announced = append(p.f.announced, r.ID)
	return nil
}

type noAgents struct{}

func (noAgents) ResolveAgent(context.Context, string) (runs.AgentRef, error) {
	return runs.AgentRef{}, fault.New(fault.NotFound, "There is no agent.")
}

type noThreads struct{ runs.Threads }

func (noThreads) AppendMessages(context.Context, uuid.UUID, uuid.UUID, []runs.InputMessage) error {
	return nil
}

type noObserver struct{}

func (noObserver) Passed(bool)            {}
func (noObserver) Reconciled(runs.Ending) {}
func (noObserver) EndTold()               {}

var errAway = fault.New(fault.Unavailable, "The engine is away.")

// Held runs of a tenant that is paused never leave; those of another one on a free thread go at once.
func TestDispatch_ReleasesThreadsBehindAPausedTenant(t *testing.T) {
	t.Parallel()
	f := newPassFixture(t)
	f.exec(t, `insert into daemon_states (tenant_id, state, new_runs, changed_by, changed_at) values ($1, 'paused', 'hold', 'test', now())`, f.first)
	f.onThreads(t, f.first, f.insert(t, f.first, crowd, "queued", `held_by = 'pause', held_at = now()`))
	f.onThreads(t, f.first, f.insert(t, f.first, crowd, "queued", `held_by = 'thread', held_at = now()`))
	other := f.insert(t, f.second, 1, "queued", `held_by = 'thread', held_at = now()`)
	f.onThreads(t, f.second, other)
	f.within(t, 1, "the other tenant's run is started", func() bool { return slices.Equal(f.started, other) })
	if n := f.count(t, `held_by = 'pause'`); n != 2*crowd {
		t.Errorf("%d runs are held by the pause, want all of them", n)
	}
	f.exec(t, `update daemon_states set state = 'running' where tenant_id = $1`, f.first)
	f.within(t, 1, "all runs are started", func() bool { return len(f.started) == 2*crowd+1 })
}

// count counts the first tenant's runs.
func (f *passFixture) count(t *testing.T, where string) (n int) {
	t.Helper()
	if err := f.db.Conn(t).QueryRow(t.Context(), `select count(*) from agent_runs where tenant_id = $1 and `+where, f.first).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Runs whose time has come and that another session holds stay where they are. So do runs that were stopped.
func TestDispatch_ReleasesDueRunsBehindThoseThatStay(t *testing.T) {
	t.Parallel()
	f := newPassFixture(t)
	due := `held_by = 'delay', held_at = now(), due_at = now() - interval '1 minute'`
	locked := f.insert(t, f.first, crowd, "queued", due)
	f.insert(t, f.first, crowd, "queued", due+`, cancel_requested_at = now()`)
	tx, err := f.db.Conn(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `select from agent_runs where id = any ($1) for update`, locked); err != nil {
		t.Fatal(err)
	}
	other := f.insert(t, f.second, 1, "queued", `held_by = 'delay', held_at = now(), due_at = now() - interval '1 second'`)
	f.within(t, 1, "the other tenant's run is started", func() bool { return slices.Equal(f.started, other) })
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.within(t, 1, "those that were held are started", func() bool { return len(f.started) == crowd+1 })
}

// Runs that were asked to stop and do not end are asked again for ever, in turn with the others.
func TestDispatch_CancelsBehindRunsThatDoNotEnd(t *testing.T) {
	t.Parallel()
	f := newPassFixture(t)
	f.cancel = func(uuid.UUID) error { return errAway }
	asked := `cancel_requested_at = created_at, cancel_requested_by = 'test', cancel_reason = ''`
	f.insert(t, f.first, crowd, "running", asked)
	f.insert(t, f.first, crowd, "queued", asked)
	other := f.insert(t, f.second, 1, "running", `cancel_requested_at = now() - interval '1 minute', cancel_requested_by = 'test', cancel_reason = ''`)
	f.within(t, 2, "the other tenant's run is asked to stop", func() bool { return slices.Equal(f.cancelled, other) })
	if n := f.count(t, `status = 'cancelled'`); n != crowd {
		t.Errorf("%d runs of the queue have ended, want %d", n, crowd)
	}
}

// answers adds a resolved approval to each run.
func (f *passFixture) answers(t *testing.T, tenant uuid.UUID, ids []uuid.UUID, age string) {
	t.Helper()
	f.exec(t, `insert into tool_calls (id, tenant_id, run_id, step, position, call_id, name, arguments, status)
		select id, $2, id, 1, 0, 'c', 'calculator', '{}', 'pending' from unnest($1::uuid[]) id`, ids, tenant)
	f.exec(t, `insert into approvals (id, tenant_id, run_id, tool_call_id, status, requested_at, expires_at, resolved_at, resolved_by)
		select id, $2, id, id, 'approved', now(), now(), now() - $3::interval, 'test' from unnest($1::uuid[]) id`, ids, tenant, age)
}

func TestDispatch_SignalsBehindAnswersThatCannotBeSignalled(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]struct {
		err    error
		stuck  int
		passes int
	}{
		"refused":      {errors.New("it is refused"), crowd, 2},
		"as if it was": {errAway, 3, 4}, // the pass ends at each of them
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newPassFixture(t)
			f.signal = func(uuid.UUID) error { return failure.err }
			f.answers(t, f.first, f.insert(t, f.first, failure.stuck, "waiting", `started_at = now()`), "1 hour")
			other := f.insert(t, f.second, 1, "waiting", `started_at = now()`)
			f.answers(t, f.second, other, "1 minute")
			f.within(t, failure.passes, "the other tenant's answer is signalled", func() bool { return slices.Equal(f.signalled, other) })
		})
	}
}

// A run that the engine seems never to be there for does not keep the others from starting.
func TestDispatch_StartsBehindARunThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	f := newPassFixture(t)
	f.start = func(context.Context, runs.Run) error { return errAway }
	f.insert(t, f.first, 2, "queued", `created_at = created_at`)
	other := f.insert(t, f.second, 1, "queued", `created_at = now() - interval '1 minute'`)
	f.within(t, 3, "the other tenant's run is started", func() bool { return slices.Equal(f.started, other) })
	f.start = nil
	f.within(t, 2, "those that could not be started are", func() bool { return len(f.started) == 3 })
}

// The parts of a pass do not wait for each other: an engine that hangs over one start does not keep a run whose time has come.
func TestDispatch_PartsGoOnSideBySide(t *testing.T) {
	t.Parallel()
	f := newPassFixture(t)
	hangs, goOn := make(chan struct{}), make(chan struct{})
	f.start = func(ctx context.Context, _ runs.Run) error {
		close(hangs)
		select {
		case <-goOn:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.insert(t, f.first, 1, "queued", `created_at = created_at`)
	asked := f.insert(t, f.second, 1, "running", `cancel_requested_at = created_at, cancel_requested_by = 'test', cancel_reason = ''`)
	passed := make(chan error, 1)
	go func() { passed <- f.Dispatch(t.Context()) }()
	<-hangs
	for {
		f.mu.Lock()
		heard := slices.Contains(f.cancelled, asked[0])
		f.mu.Unlock()
		if heard {
			break
		}
		select {
		case err := <-passed:
			t.Fatalf("the pass ended first: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	close(goOn)
	if err := <-passed; err != nil {
		t.Error(err)
	}
}
