package isolation

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/deploy/supabase"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// TestRowPolicies_AreThoseOfTheRoleMatrix tries every verb on every table with the token of every role, as
// a Supabase client would: it reads what the matrix of roles grants to it, and writes nothing.
func TestRowPolicies_AreThoseOfTheRoleMatrix(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t)
	tables := catalogue(t, conn)
	f := newFixture(t, conn, tables)
	reads := auth.TableReads()
	roles := []auth.Role{auth.RoleViewer, auth.RoleOperator, auth.RoleAdmin, auth.RoleOwner}
	for _, tb := range tables {
		permission, listed := reads[tb.name]
		if !listed {
			t.Errorf("table %s is not in auth.TableReads: who may read it?", tb.name)
		}
		for what, try := range attemptsOn(tb, f) {
			for _, role := range roles {
				want := int64(0)
				if what == "select" && role.Can(permission) {
					want = 1
				}
				n, err := member(f.tenant, role).attempt(t.Context(), conn, try.sql, try.args...)
				switch {
				case err != nil && (want > 0 || code(err) != denied):
					t.Errorf("%s, %s: %s failed: %v", tb.name, role, what, err)
				case err == nil && (n != want || strings.HasPrefix(what, "insert")):
					t.Errorf("%s, %s: %s reached %d rows, want %d", tb.name, role, what, n, want)
				}
			}
		}
		if permission != auth.ServiceOnly {
			continue
		}
		for _, policy := range column1[string](t, conn, `select qual from pg_policies where tablename = $1 and policyname = 'tenant_rows'`, tb.name) {
			if !strings.Contains(policy, "readable_tenant(''") {
				t.Errorf("%s: its policy is %s, want that of the service alone", tb.name, policy)
			}
		}
	}
	for name := range reads {
		if !slices.ContainsFunc(tables, func(tb table) bool { return tb.name == name }) {
			t.Errorf("auth.TableReads has a table %s that the database does not have", name)
		}
	}
	for name, c := range map[string]caller{"an owner": f.user, "the tenant's writer": f.writer} {
		if _, err := c.attempt(t.Context(), conn, `select hash from api_keys`); code(err) != denied {
			t.Errorf("%s reads the hashes of keys (error %v)", name, err)
		}
	}
}

// What the API refuses as a token, or as a member of the tenant, reads nothing.
func TestRowPolicies_UnderstandATokenAsTheAPIDoes(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t)
	tables := catalogue(t, conn)
	f := newFixture(t, conn, tables)
	own, other := f.tenant.String(), uuid.NewString()
	for name, tc := range map[string]struct {
		app  string
		rows int64
	}{
		"acting in a tenant":         {`{"tenant_id":"` + own + `","role":"viewer"}`, 1},
		"the same in upper case":     {`{"tenant_id":"` + strings.ToUpper(own) + `","role":"viewer"}`, 1},
		"a member of one tenant":     {`{"tenants":{"` + own + `":"viewer"}}`, 1},
		"one of several, named":      {`{"tenant_id":"` + own + `","tenants":{"` + own + `":"viewer","` + other + `":"owner"}}`, 1},
		"said twice, alike":          {`{"tenant_id":"` + own + `","role":"viewer","tenants":{"` + own + `":"viewer"}}`, 1},
		"no list":                    {`{"tenant_id":"` + own + `","role":"viewer","tenants":null}`, 1},
		"no role":                    {`{"tenant_id":"` + own + `"}`, 0},
		"an empty role":              {`{"tenant_id":"` + own + `","role":""}`, 0},
		"an unknown role":            {`{"tenant_id":"` + own + `","role":"root"}`, 0},
		"a role in another case":     {`{"tenant_id":"` + own + `","role":"Owner"}`, 0},
		"the platform's role":        {`{"tenant_id":"` + own + `","role":"service_role"}`, 0},
		"roles in a list":            {`{"tenant_id":"` + own + `","role":["owner"]}`, 0},
		"a claim in another case":    {`{"tenant_id":"` + own + `","Role":"owner"}`, 0},
		"several, none named":        {`{"tenants":{"` + own + `":"owner","` + other + `":"owner"}}`, 0},
		"another one named":          {`{"tenant_id":"` + other + `","tenants":{"` + own + `":"owner","` + other + `":"owner"}}`, 0},
		"said twice, differently":    {`{"tenant_id":"` + own + `","role":"owner","tenants":{"` + own + `":"viewer"}}`, 0},
		"listed twice":               {`{"tenants":{"` + own + `":"owner","` + strings.ToUpper(own) + `":"owner"}}`, 0},
		"an unknown role elsewhere":  {`{"tenant_id":"` + own + `","role":"owner","tenants":{"` + other + `":"root"}}`, 0},
		"a list that is none":        {`{"tenant_id":"` + own + `","role":"owner","tenants":["` + own + `"]}`, 0},
		"a tenant in another form":   {`{"tenant_id":"` + strings.ReplaceAll(own, "-", "") + `","role":"owner"}`, 0},
		"app_metadata that is none":  {`"` + own + `"`, 0},
		"nothing":                    {`{}`, 0},
		"a role without its tenant":  {`{"role":"owner"}`, 0},
		"null for the one of a list": {`{"tenants":{"` + own + `":null}}`, 0},
	} {
		for _, tb := range []string{"agent_runs", "tenants", "audit_logs"} {
			c := caller{"authenticated", `{"role":"authenticated","sub":"u","app_metadata":` + tc.app + `}`}
			if n, err := c.attempt(t.Context(), conn, `select 1 from `+tb); n != tc.rows || err != nil {
				t.Errorf("%s: %d rows of %s (error %v), want %d", name, n, tb, err, tc.rows)
			}
		}
	}
}

// The claim that marks the service is worth nothing in a token that PostgREST relays, whoever signed it: it has a
// login of its own.
func TestRowPolicies_BelieveTheServiceByItsLogin(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	conn := d.Conn(t)
	tables := catalogue(t, conn)
	f := newFixture(t, conn, tables)
	relay := "authenticator_" + uuid.NewString()[:8]
	run(t, conn, fmt.Sprintf(`create role %s login noinherit password 'secret'; grant anon, authenticated, service_role to %[1]s`, relay))
	t.Cleanup(func() {
		if _, err := conn.Exec(context.Background(), `drop role `+relay); err != nil {
			t.Error(err)
		}
	})
	config, err := pgx.ParseConfig(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	config.User, config.Password = relay, "secret"
	outside, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = outside.Close(context.Background()) })
	forged := caller{"authenticated", strings.TrimSuffix(member(f.tenant, auth.RoleViewer).claims, "}") + `,"lari_writer":true}`}
	bare := f.writer // no role at all
	for _, tb := range tables {
		for what, try := range attemptsOn(tb, f) {
			if n, err := bare.attempt(t.Context(), outside, try.sql, try.args...); err == nil && (n > 0 || what == "insert") {
				t.Errorf("%s: %s by a forged claim without a role reached %d rows", tb.name, what, n)
			}
			if n, err := forged.attempt(t.Context(), outside, try.sql, try.args...); err == nil && what != "select" && (n > 0 || what == "insert") {
				t.Errorf("%s: %s by a forged claim reached %d rows", tb.name, what, n)
			}
		}
	}
	for table, want := range map[string]int64{"agent_runs": 1, "webhook_endpoints": 0, "idempotency_keys": 0} {
		if n, err := forged.attempt(t.Context(), outside, `select 1 from `+table); n != want || err != nil {
			t.Errorf("a viewer with a forged claim reads %d rows of %s (error %v), want %d", n, table, err, want)
		}
	}
}

// TestPolicySQL_IsInTheMigrations holds the matrix in Go against the one in the database's schema.
func TestPolicySQL_IsInTheMigrations(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(supabase.Migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	newest := ""
	for _, name := range names {
		text, err := fs.ReadFile(supabase.Migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "create or replace function lari.role_can(") {
			newest = string(text)
		}
	}
	if !strings.Contains(newest, auth.PolicySQL()) {
		t.Errorf("roles or auth.TableReads changed: a new migration must hold\n\n%s", auth.PolicySQL())
	}
	conn := pgtest.New(t).Conn(t)
	for _, p := range append(auth.Permissions(), auth.ServiceOnly, auth.Public) {
		for _, r := range append(auth.Roles(), "", "root", "Owner") {
			want := r.OfTenant() && r.Can(p)
			if got := column1[bool](t, conn, `select lari.role_can($1, $2)`, r, p)[0]; got != want {
				t.Errorf("the database says %v of %q and %q, want %v", got, r, p, want)
			}
		}
	}
}

func run(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
