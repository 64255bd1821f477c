// Package isolation proves from outside that no tenant reaches another's rows, for every table that
// there is: the list comes from the database's own catalogue.
package isolation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

const denied = "42501" // insufficient_privilege: no grant, or a row that the policy refuses

func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

func TestEveryTableIsFenced(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t)
	supabase := column1[bool](t, conn, `select exists (select from pg_roles where rolname = 'supabase_auth_admin')`)[0]
	for _, tb := range catalogue(t, conn) {
		var enabled, forced bool
		err := conn.QueryRow(t.Context(), `select relrowsecurity, relforcerowsecurity from pg_class where oid = $1::regclass`, tb.ident()).Scan(&enabled, &forced)
		if err != nil || !enabled || !forced {
			t.Errorf("%s: row security is on: %v, forced: %v (error %v); call lari.isolate_tenants", tb.name, enabled, forced, err)
		}
		policies := column1[string](t, conn, `
			select format('%s %s %s', permissive, cmd, array_to_string(roles, ',')) from pg_policies
			where schemaname = 'public' and tablename = $1 order by 1`, tb.name)
		want := []string{
			"PERMISSIVE ALL authenticated", "PERMISSIVE ALL service_role",
			"RESTRICTIVE DELETE authenticated", "RESTRICTIVE INSERT authenticated", "RESTRICTIVE UPDATE authenticated",
		}
		if (tb.name == "members" || tb.name == "tenants") && supabase { // who signs tokens reads who belongs where
			want = slices.Insert(want, 2, "PERMISSIVE SELECT supabase_auth_admin")
		}
		if tb.name == "documents" { // its rows that match a query, for the one who searches: internal/knowledge tests what it lets through
			want = slices.Insert(want, 2, "PERMISSIVE SELECT lari_search")
		}
		if strings.Join(policies, "; ") != strings.Join(want, "; ") {
			t.Errorf("%s: its policies are %v, want %v", tb.name, policies, want)
		}
		// What row security does not govern, nobody may do.
		for _, role := range []string{"anon", "authenticated", "service_role"} {
			for _, privilege := range []string{"TRUNCATE", "REFERENCES", "TRIGGER"} {
				if column1[bool](t, conn, `select has_table_privilege($1, $2, $3)`, role, tb.ident(), privilege)[0] {
					t.Errorf("%s: %s has the privilege %s", tb.name, role, privilege)
				}
			}
		}
	}
	// The tables that belong to no tenant are not open to tenants either, but for those that say so.
	for name := range global {
		for _, role := range []string{"anon", "authenticated"} {
			if name != "platform_state" && name != "audit_tombstones" && column1[bool](t, conn, `select has_any_column_privilege($1, ('public.' || $2)::regclass, 'SELECT, INSERT, UPDATE, REFERENCES')
					or has_table_privilege($1, ('public.' || $2)::regclass, 'DELETE, TRUNCATE, TRIGGER')`, role, name)[0] {
				t.Errorf("%s reaches %s", role, name)
			}
		}
		if !column1[bool](t, conn, `select relrowsecurity and relforcerowsecurity from pg_class where oid = ('public.' || $1)::regclass`, name)[0] {
			t.Errorf("%s has no row security", name)
		}
	}
	// A view or function that runs with its owner's rights would be a door beside the fence.
	doors := column1[string](t, conn, `
		select format('view %s', oid::regclass) from pg_class
		where relnamespace in ('public'::regnamespace, 'lari'::regnamespace)
			and (relkind = 'm' or relkind = 'v' and not coalesce('security_invoker=true' = any(reloptions), false))
		union all
		select format('function %s', oid::regprocedure) from pg_proc
		where pronamespace in ('public'::regnamespace, 'lari'::regnamespace) and prosecdef`)
	for _, door := range doors {
		if reason := openDoors[door]; reason == "" {
			t.Errorf("%s runs with its owner's rights", door)
			continue
		}
		signature := strings.TrimPrefix(door, "function ")
		for _, role := range []string{"anon", "authenticated", "public"} {
			if column1[bool](t, conn, `select has_function_privilege($1, $2, 'EXECUTE')`, role, signature)[0] {
				t.Errorf("%s may be called by %s", door, role)
			}
		}
		if !column1[bool](t, conn, `select proconfig @> array['search_path=""'] from pg_proc where oid = $1::regprocedure`, signature)[0] {
			t.Errorf("%s has no search path of its own", door)
		}
	}
}

// openDoors are the functions that run with their owner's rights, and why. Only the platform's role calls them.
var openDoors = map[string]string{
	"function lari.erase_audit_rows(uuid,integer)": "the trail of a tenant that is being deleted is erased, and no role of the application may",
	"function lari.erase_audit_head(uuid)":         "as above",
}

func TestNobodyReachesAnotherTenantsRows(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t)
	tables := catalogue(t, conn)
	a, b := newFixture(t, conn, tables), newFixture(t, conn, tables)
	someone := func(claims string) caller { return caller{"authenticated", claims} }
	strangers := map[string]caller{
		"another tenant's writer":           b.writer,
		"another tenant's user":             b.user,
		"no claims":                         someone(""),
		"empty claims":                      someone("{}"),
		"a writer of no tenant":             someone(`{"lari_writer":true}`),
		"an empty tenant":                   someone(`{"lari_writer":true,"app_metadata":{"tenant_id":""}}`),
		"a null tenant":                     someone(`{"lari_writer":true,"app_metadata":{"tenant_id":null}}`),
		"the tenant in another place":       someone(`{"lari_writer":true,"tenant_id":"` + a.tenant.String() + `","user_metadata":{"tenant_id":"` + a.tenant.String() + `"}}`),
		"the nil tenant":                    someone(`{"lari_writer":true,"app_metadata":{"tenant_id":"` + uuid.Nil.String() + `"}}`),
		"anon":                              {"anon", ""},
		"anon with the tenant's own claims": {"anon", a.writer.claims},
	}
	for _, tb := range tables {
		for name, stranger := range strangers {
			attempts := attemptsOn(tb, a)
			for what, try := range attempts {
				n, err := stranger.attempt(t.Context(), conn, try.sql, try.args...)
				switch {
				case err != nil && code(err) != denied:
					t.Errorf("%s, %s: %s failed for another reason: %v", tb.name, name, what, err)
				case err == nil && (n > 0 || what == "insert"):
					t.Errorf("%s, %s: %s reached %d rows", tb.name, name, what, n)
				}
			}
		}
		// The other tenant sees its own row, so the silence above is not that of a broken caller; and it
		// cannot hand it to another tenant.
		if n, err := b.writer.attempt(t.Context(), conn, fmt.Sprintf(`select %s from %s`, tb.tenantColumn, tb.ident())); n != 1 || err != nil {
			t.Errorf("%s: a tenant sees %d rows (error %v), want its own one", tb.name, n, err)
		}
		if _, err := b.writer.attempt(t.Context(), conn, fmt.Sprintf(`update %s set %s = $1`, tb.ident(), tb.tenantColumn), a.tenant); code(err) != denied {
			t.Errorf("%s: a tenant gave its row to another one (error %v)", tb.name, err)
		}
	}
}

type attempt struct {
	sql  string
	args []any
}

// attemptsOn are the ways to reach a tenant's row.
func attemptsOn(tb table, victim *fixture) map[string]attempt {
	where := fmt.Sprintf(" where %s = $1", tb.tenantColumn)
	insert, values := victim.rows[tb.name].insert(tb)
	return map[string]attempt{
		"select":          {fmt.Sprintf("select %s from %s", tb.tenantColumn, tb.ident()) + where, []any{victim.tenant}},
		"select to lock":  {fmt.Sprintf("select %s from %s", tb.tenantColumn, tb.ident()) + where + " for update", []any{victim.tenant}},
		"update":          {fmt.Sprintf("update %s set %[2]s = %[2]s", tb.ident(), tb.tenantColumn) + where, []any{victim.tenant}},
		"delete":          {fmt.Sprintf("delete from %s", tb.ident()) + where, []any{victim.tenant}},
		"insert":          {insert, values},
		"insert or leave": {insert + " on conflict do nothing", values},
	}
}

// What has been recorded is not rewritten, not even by the service itself.
func TestRecordsAreAppendOnly(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t)
	tables := catalogue(t, conn)
	f := newFixture(t, conn, tables)
	system := caller{"service_role", `{"role":"service_role","lari_writer":true}`}
	refused := map[string]bool{
		"audit_logs update": true, "audit_logs delete": true, "audit_heads update": true, "audit_heads delete": true, "run_events update": true,
	}
	for _, tb := range tables {
		for _, what := range []string{"update", "delete"} {
			for name, c := range map[string]caller{"the writer": f.writer, "the system": system} {
				try := attemptsOn(tb, f)[what]
				n, err := c.attempt(t.Context(), conn, try.sql, try.args...)
				switch {
				case refused[tb.name+" "+what] && code(err) != denied:
					t.Errorf("%s: %s by %s was not refused (error %v)", tb.name, what, name, err)
				case !refused[tb.name+" "+what] && (code(err) == denied || err == nil && n != 1):
					t.Errorf("%s: %s by %s touched %d rows (error %v), want 1", tb.name, what, name, n, err)
				}
			}
		}
	}
}

// The row of a tenant that is referred to is checked past row security: a foreign key must not reach over
// to another tenant's row.
func TestReferencesStayWithinTheTenant(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t)
	tables := catalogue(t, conn)
	for _, tb := range tables {
		for _, ref := range tb.references {
			if ref.table != "tenants" && (ref.columns[0] != "tenant_id" || ref.targets[0] != "tenant_id") {
				t.Errorf("%s: the reference %v to %s does not hold the tenant", tb.name, ref.columns, ref.table)
			}
		}
	}
	a, b := newFixture(t, conn, tables), newFixture(t, conn, tables)
	_, err := b.writer.attempt(t.Context(), conn, `update agent_runs set agent_id = $1`, a.rows["agents"]["id"])
	if code(err) != "23503" {
		t.Errorf("a run was bound to another tenant's agent (error %v)", err)
	}
}

func TestTheSystemSeesAll(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t)
	tables := catalogue(t, conn)
	newFixture(t, conn, tables)
	newFixture(t, conn, tables)
	system := caller{"service_role", `{"role":"service_role","lari_writer":true}`}
	for _, tb := range tables {
		if n, err := system.attempt(t.Context(), conn, fmt.Sprintf(`select 1 from %s`, tb.ident())); n != 2 || err != nil {
			t.Errorf("%s: the system sees %d rows (error %v), want 2", tb.name, n, err)
		}
	}
}
