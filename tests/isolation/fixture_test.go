package isolation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/auth"
)

// chosen holds what the catalogue cannot say about a row that is valid, as table.column. Most tables
// need nothing here: values follow from types, checks and foreign keys.
var chosen = map[string]any{
	"webhook_endpoints.events": []string{"run_completed"},
	"tenant_quotas.source":     "tenant", // the other one is written by the platform only
	"analytics_usage.grain":    15,
	"analytics_runs.grain":     15,
	"analytics_latency.grain":  15,
}

// unsaid are references that no foreign key holds.
var unsaid = map[string]reference{
	"run_events": {columns: []string{"run_id"}, table: "agent_runs", targets: []string{"id"}},
}

// row is one row of a table, by column.
type row map[string]any

// fixture holds one row of every table for one tenant, inserted as that tenant's writer: that this works
// shows that what is refused elsewhere is refused for the right reason.
type fixture struct {
	tenant uuid.UUID
	writer caller
	user   caller // its owner's own token, as a Supabase client sends it
	rows   map[string]row
}

// member returns a caller with the token of a member of the tenant.
func member(tenant uuid.UUID, role auth.Role) caller {
	return caller{"authenticated", fmt.Sprintf(`{"role":"authenticated","sub":"u","app_metadata":{"tenant_id":"%s","role":"%s"}}`, tenant, role)}
}

func newFixture(t *testing.T, conn *pgx.Conn, tables []table) *fixture {
	t.Helper()
	tenant := uuid.New()
	claims := `{"role":"authenticated","app_metadata":{"tenant_id":"` + tenant.String() + `"}`
	f := &fixture{
		tenant: tenant,
		writer: caller{"authenticated", claims + `,"lari_writer":true}`},
		user:   member(tenant, auth.RoleOwner),
		rows:   map[string]row{},
	}
	byName := map[string]table{}
	for _, tb := range tables {
		byName[tb.name] = tb
	}
	for _, tb := range tables {
		f.ensure(t, conn, byName, tb)
	}
	// A step that is recorded leaves a fact of its own behind: one row a table is what the tests count with.
	if _, err := conn.Exec(t.Context(), `delete from analytics_pending where tenant_id = $1 and run_id <> $2`, tenant, f.rows["analytics_pending"]["run_id"]); err != nil {
		t.Fatal(err)
	}
	return f
}

// ensure inserts the table's row, and first those that it refers to.
func (f *fixture) ensure(t *testing.T, conn *pgx.Conn, tables map[string]table, tb table) row {
	t.Helper()
	if r, done := f.rows[tb.name]; done {
		return r
	}
	r := row{}
	f.rows[tb.name] = r // before its references: a table may refer to itself
	for _, c := range tb.columns {
		if c.name == tb.tenantColumn {
			r[c.name] = f.tenant
		} else if c.required || c.name == "id" { // the database may make ids, but others refer to them
			r[c.name] = valueOf(t, tb, c)
		}
	}
	references := tb.references
	if ref, ok := unsaid[tb.name]; ok {
		references = append(slices.Clone(references), ref)
	}
	for _, ref := range references {
		if !r.holds(ref.columns) {
			continue // optional
		}
		target := f.ensure(t, conn, tables, tables[ref.table])
		for i, name := range ref.columns {
			r[name] = target[ref.targets[i]]
		}
	}
	tx, err := f.writer.begin(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	sql, args := r.insert(tb)
	if _, err := tx.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("no valid row of %s could be made up: %v; say in chosen what it needs", tb.name, err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatalf("no valid row of %s could be made up: %v; say in chosen what it needs", tb.name, err)
	}
	return r
}

func (r row) holds(columns []string) bool {
	for _, c := range columns {
		if _, ok := r[c]; !ok {
			return false
		}
	}
	return true
}

// insert gives the statement that inserts the row.
func (r row) insert(tb table) (sql string, args []any) {
	var names, places []string
	for _, c := range tb.columns {
		if v, ok := r[c.name]; ok {
			names, args = append(names, pgx.Identifier{c.name}.Sanitize()), append(args, v)
			places = append(places, fmt.Sprintf("$%d", len(args)))
		}
	}
	return fmt.Sprintf("insert into %s (%s) values (%s)", tb.ident(), strings.Join(names, ", "), strings.Join(places, ", ")), args
}

func (tb table) ident() string { return pgx.Identifier{"public", tb.name}.Sanitize() }

func valueOf(t *testing.T, tb table, c column) any {
	t.Helper()
	if v, ok := chosen[tb.name+"."+c.name]; ok {
		return v
	}
	if len(c.oneOf) > 0 {
		return c.oneOf[0]
	}
	switch c.typ {
	case "uuid":
		return uuid.New()
	case "text":
		return uuid.NewString()
	case "integer", "bigint", "numeric", "smallint":
		return 1
	case "boolean":
		return false
	case "jsonb":
		return "{}"
	case "bytea":
		return []byte("x")
	case "timestamp with time zone", "date":
		return time.Now()
	case "text[]":
		return []string{}
	}
	t.Fatalf("column %s.%s has the type %s, which this test cannot make up: add it here", tb.name, c.name, c.typ)
	return nil
}
