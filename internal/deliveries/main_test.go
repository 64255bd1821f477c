package deliveries_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/larirun/lari/internal/deliveries"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is the outbox of one process over a real database; it is the engine as well.
type rig struct {
	*deliveries.Service
	db     *pgtest.Database
	ctx    context.Context //nolint:containedctx // the test's own
	tenant uuid.UUID
	run    uuid.UUID
	agent  uuid.UUID
	taken  chan deliveries.Key

	mu   sync.Mutex
	away bool
	// refuses says which deliveries the engine does not take, and hold is called before it takes one; nil: none, nothing.
	refuses func(deliveries.Key) bool
	hold    func(deliveries.Key)
}

func start(t *testing.T) *rig {
	t.Helper()
	r := &rig{db: pgtest.New(t), run: uuid.New(), agent: uuid.New(), taken: make(chan deliveries.Key, 1000)}
	r.ctx, r.tenant = r.db.Tenant(t, "acme")
	r.Service = deliveries.NewService(r.db.DB, r, slog.New(slog.DiscardHandler))
	r.sql(t, `insert into agents (id, tenant_id, slug, name, version, created_at, updated_at) values ($1, $2, 'a', 'a', 1, now(), now())`, r.agent, r.tenant)
	r.sql(t, `insert into agent_runs (id, tenant_id, agent_id, agent_version, status, input, max_steps, timeout_seconds, approval_seconds, created_by, created_at)
		values ($1, $2, $3, 1, 'running', '[]', 1, 1, 1, 'me', now())`, r.run, r.tenant, r.agent)
	r.sql(t, `insert into run_logs (run_id, tenant_id) values ($1, $2)`, r.run, r.tenant)
	return r
}

var errAway = errors.New("the engine is away")

// Deliver makes the rig an engine.
func (r *rig) Deliver(_ context.Context, k deliveries.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away || r.refuses != nil && r.refuses(k) {
		return errAway
	}
	if r.hold != nil {
		r.hold(k)
	}
	r.taken <- k
	return nil
}

func (r *rig) setAway(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

// sql runs a statement with the owner's rights, beside the service.
func (r *rig) sql(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := r.db.Conn(t).Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) endpoint(t *testing.T, agent *uuid.UUID, events ...event.Type) uuid.UUID {
	t.Helper()
	id := uuid.New()
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = string(e)
	}
	r.sql(t, `insert into webhook_endpoints (id, tenant_id, url, events, agent_id, created_by, created_at, updated_at)
		values ($1, $2, 'https://example.com', $3, $4, 'me', now(), now())`, id, r.tenant, names, agent)
	return id
}

// record appends events to the run's log and posts them, in one transaction, as a run's record does.
func (r *rig) record(t *testing.T, fail error, postings ...deliveries.Posting) error {
	t.Helper()
	return r.db.DB.Tx(r.ctx, func(ctx context.Context) error {
		var listeners []deliveries.Listener
		if err := r.db.DB.Batch(ctx, r.Listeners(r.tenant, &listeners)); err != nil {
			return err
		}
		for _, p := range postings {
			err := r.db.DB.Finally(ctx, postgres.Statement{
				SQL: `with head as (update run_logs set last_seq = last_seq + 1 where run_id = $1 returning last_seq)
					insert into run_events (tenant_id, run_id, seq, type, at, data) select $2, $1, last_seq, $3, now(), '{}' from head`,
				Args: []any{r.run, r.tenant, string(p.Type)},
			})
			if err != nil {
				return err
			}
		}
		for i := range postings {
			postings[i].Behind = len(postings) - 1 - i
		}
		if statement, posted, ok := r.Post(r.tenant, r.run, r.agent, postings, listeners); ok {
			postgres.AfterCommit(ctx, posted)
			if err := r.db.DB.Finally(ctx, statement); err != nil {
				return err
			}
		}
		return fail
	})
}

// courier runs the courier until the test ends.
func (r *rig) courier(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.RunCourier(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
}

// next gives what the engine is told next, as seq:connector[:endpoint].
func (r *rig) next(t *testing.T, n int) []deliveries.Key {
	t.Helper()
	keys := make([]deliveries.Key, 0, n)
	for range n {
		select {
		case k := <-r.taken:
			keys = append(keys, k)
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
	slices.SortFunc(keys, func(a, b deliveries.Key) int { return int(a.Seq - b.Seq) })
	return keys
}
