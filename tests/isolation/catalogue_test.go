package isolation

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

// table is what the catalogue says of a table that belongs to tenants.
type table struct {
	name         string
	tenantColumn string // tenant_id, or id for tenants itself
	columns      []column
	references   []reference
}

type column struct {
	name     string
	typ      string
	required bool     // not null and without a default
	oneOf    []string // the values that a check allows
}

// reference is a foreign key.
type reference struct {
	columns []string
	table   string
	targets []string
}

// global lists the tables of schema public that belong to no tenant: why each may be read by everybody, or
// is read by the platform alone.
var global = map[string]string{
	"tenant_deletions":          "outlives the tenant that it speaks of; only the platform's role reads it",
	"audit_tombstones":          "says where the log of a tenant ended that is gone; only the service reads it",
	"platform_idempotency_keys": "is of requests that act in no tenant; only the platform's role reads it",
	"platform_state":            "whether the whole platform begins runs concerns every tenant, and says nothing of any",
}

// catalogue reads all tables that belong to tenants.
func catalogue(t *testing.T, conn *pgx.Conn) []table {
	t.Helper()
	names := column1[string](t, conn, `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') order by relname`)
	var tables []table
	for _, name := range names {
		if _, ok := global[name]; ok {
			continue
		}
		tb := table{name: name, columns: columnsOf(t, conn, name), references: referencesOf(t, conn, name)}
		switch {
		case name == "tenants":
			tb.tenantColumn = "id"
		case tb.has("tenant_id"):
			tb.tenantColumn = "tenant_id"
		default:
			t.Errorf("table %s has no tenant_id: it belongs to a tenant, or is named in this test with a reason", name)
			continue
		}
		tables = append(tables, tb)
	}
	if len(tables) < 10 {
		t.Fatalf("only %d tables were found: the test looks in the wrong place", len(tables))
	}
	return tables
}

func (tb table) has(name string) bool {
	for _, c := range tb.columns {
		if c.name == name {
			return true
		}
	}
	return false
}

func columnsOf(t *testing.T, conn *pgx.Conn, name string) []column {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		select a.attname, format_type(a.atttypid, null), a.attnotnull and not a.atthasdef and a.attidentity = '',
			coalesce((
				select array_agg(m[1]) from pg_constraint c, regexp_matches(pg_get_constraintdef(c.oid), '''([^'']*)''::text', 'g') m
				where c.conrelid = a.attrelid and c.contype = 'c' and c.conkey = array[a.attnum]), '{}')
		from pg_attribute a
		where a.attrelid = ('public.' || quote_ident($1))::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
		order by a.attnum`, name)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c column, err error) {
		err = row.Scan(&c.name, &c.typ, &c.required, &c.oneOf)
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return columns
}

func referencesOf(t *testing.T, conn *pgx.Conn, name string) []reference {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		select f.relname,
			array(select a.attname::text from unnest(c.conkey) with ordinality k (n, i) join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.n order by i),
			array(select a.attname::text from unnest(c.confkey) with ordinality k (n, i) join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.n order by i)
		from pg_constraint c join pg_class f on f.oid = c.confrelid
		where c.contype = 'f' and c.conrelid = ('public.' || quote_ident($1))::regclass`, name)
	if err != nil {
		t.Fatal(err)
	}
	references, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r reference, err error) {
		err = row.Scan(&r.table, &r.columns, &r.targets)
		return r, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return references
}

func column1[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) []T {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// caller is somebody who reaches the database with a role and claims.
type caller struct {
	role   string
	claims string
}

// attempt runs a statement as the caller, gives the number of rows that it gave or touched, and undoes it.
func (c caller) attempt(ctx context.Context, conn *pgx.Conn, sql string, args ...any) (rows int64, err error) {
	tx, err := c.begin(ctx, conn)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	tag, err := tx.Exec(ctx, sql, args...)
	return tag.RowsAffected(), err
}

func (c caller) begin(ctx context.Context, conn *pgx.Conn) (pgx.Tx, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)`, c.role, c.claims); err != nil {
		_ = tx.Rollback(ctx)
		return nil, err
	}
	return tx, nil
}
