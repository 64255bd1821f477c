package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// notes prepares a table that tenants may use, and gives the database.
func notes(t *testing.T) *pgtest.Database {
	t.Helper()
	d := pgtest.New(t)
	run(t, d.Conn(t), `
		create table notes (id int primary key, tenant_id uuid not null default lari.tenant_id(), text text not null);
		select lari.isolate_tenants('notes')`)
	return d
}

func run(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func do(ctx context.Context, t *testing.T, db *postgres.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Exec(ctx, sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// value reads one column of one row as the context's tenant.
func value[T any](ctx context.Context, t *testing.T, db *postgres.DB, sql string, args ...any) T {
	t.Helper()
	v, ok, err := postgres.One(ctx, db, sql, args, pgx.RowTo[T])
	if err != nil || !ok {
		t.Fatalf("%s: %v (found: %v)", sql, err, ok)
	}
	return v
}

// count counts notes, past all policies.
func count(t *testing.T, conn *pgx.Conn) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), `select count(*) from notes`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func wantCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("error %v has the code %q, want %q", err, fault.CodeOf(err), code)
	}
}

// benchDatabase gives a pool and a tenant for benchmarks.
func benchDatabase(b *testing.B) (*postgres.DB, context.Context) {
	b.Helper()
	d := pgtest.New(b)
	ctx, _ := d.Tenant(b, "one")
	return d.DB, ctx
}
