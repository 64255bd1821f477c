package quotas_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/quotas"
)

// world is a database with the service and a tenant.
type world struct {
	*quotas.Service
	database *pgtest.Database
	conn     *pgx.Conn
	tenant   uuid.UUID
	ctx      context.Context //nolint:containedctx // acts for the tenant
	agent    uuid.UUID
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{database: pgtest.New(t)}
	w.Service, w.conn = quotas.NewService(w.database.DB), w.database.Conn(t)
	w.ctx, w.tenant = w.database.Tenant(t, "acme")
	w.agent = uuid.Must(uuid.NewV7())
	w.exec(t, `insert into agents (id, tenant_id, slug, name, description, version, created_at, updated_at)
		values ($1, $2, 'helper', 'Helper', '', 1, now(), now())`, w.agent, w.tenant)
	return w
}

// exec runs a statement as the superuser.
func (w *world) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := w.conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// platform is the context of a service token that acts for the tenant.
func (w *world) platform() context.Context {
	return auth.With(w.ctx, &auth.Principal{Subject: "platform", Service: true})
}

// allow sets what the platform allows the tenant.
func (w *world) allow(t testing.TB, l quotas.Limits) quotas.Quotas {
	t.Helper()
	q, err := w.Replace(w.platform(), w.tenant, l)
	must(t, err)
	return q
}

// run inserts a running run.
func (w *world) run(t testing.TB) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	w.exec(t, `insert into agent_runs (id, tenant_id, agent_id, agent_version, status, input, metadata, max_steps, timeout_seconds,
			approval_seconds, request_id, created_by, created_at, started_at)
		values ($1, $2, $3, 1, 'running', '[]', '{}', 10, 600, 600, '', 'test', now(), now())`, id, w.tenant, w.agent)
	return id
}

// tokens is a demand for so many tokens of output and none of input.
func tokens(run uuid.UUID, step int, n int64) quotas.Demand {
	return quotas.Demand{Run: run, Step: step, OutputTokens: n}
}

func (w *world) reserve(t testing.TB, d quotas.Demand) quotas.Grant {
	t.Helper()
	g, err := w.Reserve(w.ctx, d)
	must(t, err)
	return g
}

// settle counts the step as its record would, and gives whose soft limit that passed.
func (w *world) settle(t testing.TB, run uuid.UUID, step int, used int64, cost string) []string {
	t.Helper()
	var passed []string
	u := event.Usage{InputTokens: used, CostUSD: decimal.RequireFromString(cost)}
	must(t, w.database.DB.Batch(w.ctx, w.Settle(w.tenant, run, step, u, &passed)))
	return passed
}

func (w *world) free(t testing.TB, run uuid.UUID) {
	t.Helper()
	must(t, w.database.DB.Batch(w.ctx, w.Free(run)))
}

// account is what stands in the tenant's account of the month.
func (w *world) account(t testing.TB) (used, reserved int64, cost, reservedCost string) {
	t.Helper()
	q, err := w.Find(w.ctx, w.tenant)
	must(t, err)
	return q.Usage.TokensPerMonth.Used, q.Usage.TokensPerMonth.Reserved, q.Usage.CostUSDPerMonth.Used.String(), q.Usage.CostUSDPerMonth.Reserved.String()
}

func (w *world) wantAccount(t testing.TB, used, reserved int64, cost, reservedCost string) {
	t.Helper()
	u, r, c, rc := w.account(t)
	if u != used || r != reserved || c != cost || rc != reservedCost {
		t.Fatalf("%d tokens and %s dollars are used, %d and %s reserved; want %d, %s, %d, %s", u, c, r, rc, used, cost, reserved, reservedCost)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("error %v has the code %q, want %q", err, fault.CodeOf(err), code)
	}
}

func ptr[T any](v T) *T { return &v }

func dollars(s string) *decimal.Decimal { return ptr(decimal.RequireFromString(s)) }

func usageOf(tokens int64) event.Usage { return event.Usage{InputTokens: tokens} }
