package setup

import (
	"context"
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/scope"
)

// issuerSetup is what Supabase Auth asks of a database that it is installed in.
const issuerSetup = `
create role supabase_auth_admin login noinherit createrole password 'secret';
create schema if not exists auth authorization supabase_auth_admin;
grant create on database lari to supabase_auth_admin;
alter role supabase_auth_admin set search_path = 'auth'`

// issuerMigrations is what it then makes, as its own role; auth.jwt() came with a later version.
func issuerMigrations(version string) []string {
	return []string{
		`create table if not exists auth.users (id uuid primary key, email text)`,
		`create or replace function auth.uid() returns uuid language sql stable as $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$`,
		`create or replace function auth.jwt() returns jsonb language sql stable as $$
			select coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb -- ` + version + ` $$`,
	}
}

// servesBesideAuth installs Supabase Auth before the first migration or after the last, upgrades both, and looks whether
// the service, a member's token and the token hook work.
func servesBesideAuth(t *testing.T, super string, before bool) {
	t.Helper()
	prepare(t, super)
	database := at(t, super, "lari")
	owner, issuer := at(t, super, "lari", "lari_owner", ownerPassword), at(t, super, "lari", "supabase_auth_admin", "secret")
	all := pgtest.Migrations(t)
	migrate := func() {
		t.Helper()
		if _, err := postgres.Migrate(t.Context(), owner, all); err != nil {
			t.Fatalf("Auth first: %v; migrate: %v", before, err)
		}
	}
	if before {
		run(t, database, issuerSetup)
		run(t, issuer, issuerMigrations("1")[:2]...)
		_, err := postgres.Migrate(t.Context(), owner, all)
		if err == nil || err.Error() != (&postgres.MissingRightsError{
			Role: "lari_owner", Database: "lari", Statements: []string{"grant usage, create on schema auth to lari_owner;"},
		}).Error() {
			t.Fatalf("a schema of somebody else: %v", err)
		}
		run(t, database, "grant usage, create on schema auth to lari_owner")
		migrate()
		run(t, issuer, issuerMigrations("2")...)
	} else {
		migrate()
		run(t, database, issuerSetup)
		run(t, issuer, issuerMigrations("1")...)
	}
	migrate()
	run(t, issuer, issuerMigrations("3")...)
	migrate()

	tenant := isServed(t, at(t, super, "lari", "lari", servicePassword))
	run(t, database, `insert into members (tenant_id, user_id, role, created_by, created_at, updated_by, updated_at)
		values ('`+tenant.String()+`', 'ada', 'viewer', 'x', now(), 'x', now())`)
	conn, err := pgx.Connect(t.Context(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var role string
	if err := conn.QueryRow(t.Context(), `select lari.custom_access_token_hook('{"user_id":"ada","claims":{}}') #>> '{claims,app_metadata,role}'`).Scan(&role); err != nil || role != "viewer" {
		t.Errorf("Auth first: %v; the hook gives the role %q (error %v)", before, role, err)
	}
	run(t, super, `drop database lari with (force)`, `drop role lari, lari_owner, supabase_auth_admin`, dropRoles)
}

// isServed makes a tenant as the service does and reads it as the service and as a member's token.
func isServed(t *testing.T, service string) uuid.UUID {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: service, MaxConns: 1}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tenant := uuid.New()
	ctx := scope.With(t.Context(), scope.Scope{Tenant: tenant, Actor: "test"})
	if n, err := db.Exec(ctx, `insert into tenants (id, slug, name) values ($1, 'acme', 'Acme')`, tenant); n != 1 || err != nil {
		t.Fatalf("the service makes %d tenants (error %v)", n, err)
	}
	claims := `{"role":"authenticated","app_metadata":{"tenant_id":"` + tenant.String() + `","role":"viewer"}}`
	err = db.Batch(ctx, postgres.Statement{SQL: `select set_config('request.jwt.claims', $1, true)`, Args: []any{claims}},
		postgres.Statement{SQL: `select 1 from tenants`, Read: func(rows pgx.Rows) error {
			n := 0
			for rows.Next() {
				n++
			}
			if n != 1 {
				t.Errorf("a member's token reads %d tenants", n)
			}
			return rows.Err()
		}})
	if err != nil {
		t.Error(err)
	}
	return tenant
}
