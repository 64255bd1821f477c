package analytics_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/analytics"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// world is the service on a database of its own.
type world struct {
	*analytics.Service
	database *pgtest.Database
}

func newWorld(t *testing.T) *world {
	t.Helper()
	d := pgtest.New(t)
	return &world{Service: analytics.NewService(d.DB, slog.New(slog.DiscardHandler)), database: d}
}

// tenant is a customer with two agents and a workspace.
type tenant struct {
	*world
	ctx       context.Context //nolint:containedctx // the test's own
	id        uuid.UUID
	agents    [2]uuid.UUID
	workspace uuid.UUID
}

func (w *world) tenant(t *testing.T, slug string) *tenant {
	t.Helper()
	x := &tenant{world: w, workspace: uuid.Must(uuid.NewV7())}
	x.ctx, x.id = w.database.Tenant(t, slug)
	for i := range x.agents {
		x.agents[i] = uuid.Must(uuid.NewV7())
		must(t, x.exec(`insert into agents (id, tenant_id, slug, name, version, created_at, updated_at) values ($1, $2, $3, $3, 1, now(), now())`,
			x.agents[i], x.id, fmt.Sprint("agent-", i)))
	}
	must(t, x.exec(`insert into workspaces (id, tenant_id, slug, name) values ($1, $2, 'w', 'w')`, x.workspace, x.id))
	return x
}

func (x *tenant) exec(sql string, args ...any) error {
	_, err := x.database.DB.Exec(x.ctx, sql, args...)
	return err
}

// step is what a test says of one.
type step struct {
	n                  int
	at                 time.Time
	model              string
	in, out            int64
	cost               string
	estimated, partial bool
}

// run is what a test says of one; zero times have not come.
type run struct {
	id                         uuid.UUID
	agent                      uuid.UUID
	workspace                  *uuid.UUID
	created, started, finished time.Time
	status, code               string
	forked                     int // steps that are another run's
	steps                      []step
}

func (x *tenant) create(r run) error {
	return x.exec(`insert into agent_runs (id, tenant_id, workspace_id, agent_id, agent_version, status, input, max_steps, timeout_seconds, approval_seconds,
			created_by, created_at, forked_step)
		values ($1, $2, $3, $4, 1, 'queued', '[]', 1, 1, 1, 'me', $5, nullif($6, 0))`, r.id, x.id, r.workspace, r.agent, r.created, r.forked)
}

func (x *tenant) start(r run) error {
	return x.exec(`update agent_runs set status = 'running', started_at = $2 where id = $1 and status = 'queued'`, r.id, r.started)
}

// take records a step as a run's record does: once, with the run's usage. A partial one has no row of its own.
func (x *tenant) take(r run, s step) error {
	return x.database.DB.Tx(x.ctx, func(ctx context.Context) error {
		n := int64(1)
		if !s.partial {
			var err error
			n, err = x.database.DB.Exec(ctx, `insert into run_steps (tenant_id, run_id, step, content, finish, model, input_tokens, output_tokens, cost_usd, estimated, finished_at)
				values ($1, $2, $3, 'x', 'stop', $4, $5, $6, $7::text::numeric, $8, $9) on conflict (run_id, step) do nothing`,
				x.id, r.id, s.n, s.model, s.in, s.out, s.cost, s.estimated, s.at)
			if err != nil {
				return err
			}
		}
		if n == 0 || s.n <= r.forked {
			return nil
		}
		_, err := x.database.DB.Exec(ctx, `update agent_runs set step = $2, input_tokens = input_tokens + $3, output_tokens = output_tokens + $4,
			cost_usd = cost_usd + $5::text::numeric where id = $1 and finished_at is null`, r.id, s.n, s.in, s.out, s.cost)
		return err
	})
}

func (x *tenant) end(r run) error {
	return x.exec(`update agent_runs set status = $2, finished_at = $3, error = case when $4 <> '' then jsonb_build_object('code', $4::text) end
		where id = $1 and finished_at is null`, r.id, r.status, r.finished, r.code)
}

// whole records a run from its creation to its end.
func (x *tenant) whole(r run) error {
	for _, do := range []func() error{
		func() error { return x.create(r) },
		func() error { return x.start(r) },
		func() error {
			for _, s := range r.steps {
				if err := x.take(r, s); err != nil {
					return err
				}
			}
			return nil
		},
		func() error { return x.end(r) },
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// pending gives the number of facts that are in no rollup.
func (w *world) pending(t *testing.T) (n int) {
	t.Helper()
	must(t, w.database.Conn(t).QueryRow(t.Context(), `select count(*) from analytics_pending`).Scan(&n))
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }
