package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

func versions(all []postgres.Migration) (out []string) {
	for _, m := range all {
		out = append(out, m.Version)
	}
	return out
}

// recorded reads the history, past the code.
func recorded(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `select version from supabase_migrations.schema_migrations order by version`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wantPending(t *testing.T, db *postgres.DB, all []postgres.Migration, want []string) {
	t.Helper()
	got, err := db.Pending(t.Context(), all)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("pending %v (error %v), want %v", got, err, want)
	}
}

func TestMigrateTwice(t *testing.T) {
	t.Parallel()
	d := pgtest.NewEmpty(t)
	all := pgtest.Migrations(t)
	wantPending(t, d.DB, all, versions(all))
	applied, err := postgres.Migrate(t.Context(), d.URL, all)
	if err != nil || !slices.Equal(applied, versions(all)) {
		t.Fatalf("applied %v, error %v", applied, err)
	}
	wantPending(t, d.DB, all, []string{})
	if applied, err = postgres.Migrate(t.Context(), d.URL, all); err != nil || len(applied) != 0 {
		t.Errorf("the second time %v were applied, error %v", applied, err)
	}
	var name string
	var statements []string
	err = d.Conn(t).QueryRow(t.Context(), `select name, statements from supabase_migrations.schema_migrations where version = $1`,
		all[1].Version).Scan(&name, &statements)
	if err != nil || name != all[1].Name || strings.Join(statements, "") != all[1].SQL {
		t.Errorf("recorded as %q, error %v", name, err)
	}
	ctx, _ := d.Tenant(t, "one")
	if n := value[int](ctx, t, d.DB, `select count(*) from tenants`); n != 1 {
		t.Errorf("the tenant sees %d tenants", n)
	}
}

// Every replica migrates when it starts: each migration is applied by exactly one.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	d := pgtest.NewEmpty(t)
	all := pgtest.Migrations(t)
	var mu sync.Mutex
	var applied []string
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			mine, err := postgres.Migrate(t.Context(), d.URL, all)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			applied = append(applied, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	slices.Sort(applied)
	if !slices.Equal(applied, versions(all)) {
		t.Errorf("applied %v, want each of %v once", applied, versions(all))
	}
}

// supabase is what a Supabase project brings, as far as the migrations touch it.
const supabase = `
do $$ begin create role anon nologin noinherit; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role authenticated nologin noinherit; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role service_role nologin noinherit; exception when duplicate_object or unique_violation then null; end $$;
create schema auth;
create function auth.jwt() returns jsonb language sql stable as
  $f$ select coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb $f$;
comment on function auth.jwt() is 'Supabase''s own';
grant usage on schema auth to anon, authenticated, service_role;
grant usage on schema public to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
create schema supabase_migrations;
create table supabase_migrations.schema_migrations (version text not null primary key, statements text[], name text);
insert into supabase_migrations.schema_migrations (version, name) values ('20200101000000', 'of_another_app');`

func TestMigrateASupabaseProject(t *testing.T) {
	t.Parallel()
	d := pgtest.NewEmpty(t)
	super := d.Conn(t)
	run(t, super, supabase)
	all := pgtest.Migrations(t)
	if _, err := postgres.Migrate(t.Context(), d.URL, all); err != nil {
		t.Fatal(err)
	}
	if got := recorded(t, super); !slices.Equal(got, append([]string{"20200101000000"}, versions(all)...)) {
		t.Errorf("the history is %v", got)
	}
	var comment string
	if err := super.QueryRow(t.Context(), `select obj_description('auth.jwt()'::regprocedure)`).Scan(&comment); err != nil || comment != "Supabase's own" {
		t.Errorf("auth.jwt() was replaced (%q, error %v)", comment, err)
	}
	// Supabase's default privileges give away what row security does not govern.
	rows, err := super.Query(t.Context(), `
		select format('%s on %s to %s', privilege_type, table_name, grantee) from information_schema.role_table_grants
		where table_schema = 'public' and (grantee = 'anon' or
			grantee in ('authenticated', 'service_role') and privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))`)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(left) > 0 {
		t.Errorf("privileges that nobody should have: %v, error %v", left, err)
	}
}

// Supabase's postgres role owns the tables without being a superuser: it migrates, serves, and sees no
// row by itself, since the policies are forced on owners too.
func TestAnOwnerWithoutPrivileges(t *testing.T) {
	t.Parallel()
	d := pgtest.NewEmpty(t)
	super := d.Conn(t)
	run(t, super, supabase)
	owner := "lari_owner_" + uuid.NewString()[:8]
	run(t, super, fmt.Sprintf(`create role %s login noinherit password 'secret';
		grant authenticated, service_role to %[1]s; grant all on schema public to %[1]s;
		alter schema supabase_migrations owner to %[1]s; alter table supabase_migrations.schema_migrations owner to %[1]s;
		grant usage on schema auth to %[1]s;
		do $$ begin execute format('grant create on database %%I to %[1]s', current_database()); end $$`, owner))
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), d.URL)
		if err == nil {
			_, err = conn.Exec(context.Background(), fmt.Sprintf(`drop owned by %s cascade; drop role %[1]s`, owner))
			_ = conn.Close(context.Background())
		}
		if err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(owner, "secret")
	if _, err := postgres.Migrate(t.Context(), u.String(), pgtest.Migrations(t)); err != nil {
		t.Fatal(err)
	}
	mine := &pgtest.Database{URL: u.String()}
	mine.DB = mine.Open(t, postgres.Config{MaxConns: 2})
	ctx, _ := mine.Tenant(t, "one")
	if n := value[int](ctx, t, mine.DB, `select count(*) from tenants`); n != 1 {
		t.Errorf("the tenant sees %d tenants, want itself", n)
	}
	if n := value[int](postgres.AsSystem(ctx), t, mine.DB, `select count(*) from tenants`); n != 1 {
		t.Errorf("the system sees %d tenants, want 1", n)
	}
	var n int
	if err := mine.DB.Pool().QueryRow(ctx, `select count(*) from tenants`).Scan(&n); err != nil || n != 0 {
		t.Errorf("the owner by itself sees %d tenants (error %v), want none", n, err)
	}

	// Its functions erase the trail of a tenant that is being deleted, and of no other.
	other, _ := mine.Tenant(t, "two")
	for _, ctx := range []context.Context{ctx, other} {
		if _, err := mine.DB.Exec(ctx, `insert into audit_logs (id, tenant_id, at, actor, action, resource_type, resource_id, outcome, dedup_key)
			values (gen_random_uuid(), lari.tenant_id(), now(), 'a', 'b', 'c', 'd', 'success', 'e')`); err != nil {
			t.Fatal(err)
		}
	}
	system := postgres.AsSystem(ctx)
	for _, sql := range []string{
		`update tenants set status = 'deleting' where slug = 'one'`,
		`insert into tenant_deletions (id, tenant_id, slug, name, phase, requested_by, requested_at, erase_at, export, status_before, reason_before, status_at_before)
			select gen_random_uuid(), id, slug, name, 'waiting', 'x', now(), now(), false, 'active', '', now() from tenants where slug = 'one'`,
		`update tenant_deletions set phase = 'stopping'`, `update tenant_deletions set phase = 'erasing'`,
	} {
		if n, err := mine.DB.Exec(system, sql); err != nil || n != 1 {
			t.Fatalf("%s: %d rows, error %v", sql, n, err)
		}
	}
	if n := value[int](system, t, mine.DB, `select lari.erase_audit_rows(id, 10) from tenants where slug = 'one'`); n != 1 {
		t.Errorf("%d rows of the trail were erased, want 1", n)
	}
	if n := value[int](system, t, mine.DB, `select ended_at from tenants, lari.erase_audit_head(id) where slug = 'one'`); n != 1 {
		t.Errorf("the trail ended at %d, want 1", n)
	}
	if _, err := mine.DB.Exec(system, `select lari.erase_audit_rows(id, 10) from tenants where slug = 'two'`); err == nil {
		t.Error("the trail of a tenant that stays was erased")
	}
	if n := value[int](system, t, mine.DB, `select count(*) from audit_logs`); n != 1 {
		t.Errorf("%d rows are left, want the other tenant's", n)
	}
}

func TestABrokenMigrationLeavesNothing(t *testing.T) {
	t.Parallel()
	d := pgtest.NewEmpty(t)
	all := []postgres.Migration{
		{Version: "20260101000001", Name: "good", SQL: `create table good (id int)`},
		{Version: "20260101000002", Name: "broken", SQL: `create table half (id int); insert into good values (1); select 1/0; create table other (id int)`},
		{Version: "20260101000003", Name: "never", SQL: `create table never (id int)`},
	}
	for range 2 {
		_, err := postgres.Migrate(t.Context(), d.URL, all)
		if err == nil || !strings.Contains(err.Error(), "20260101000002_broken") {
			t.Fatalf("error %v does not name the migration", err)
		}
		super := d.Conn(t)
		if got := recorded(t, super); !slices.Equal(got, []string{"20260101000001"}) {
			t.Errorf("recorded %v, want the first alone", got)
		}
		var clean bool
		err = super.QueryRow(t.Context(), `select to_regclass('half') is null and to_regclass('never') is null
			and not exists (select from good)`).Scan(&clean)
		if err != nil || !clean {
			t.Errorf("something of the broken migration is there (error %v)", err)
		}
		wantPending(t, d.DB, all, []string{"20260101000002", "20260101000003"})
	}
	all[1].SQL = `create table half (id int)`
	if applied, err := postgres.Migrate(t.Context(), d.URL, all); err != nil || len(applied) != 2 {
		t.Errorf("mended, %v were applied, error %v", applied, err)
	}
}

func TestReadMigrations(t *testing.T) {
	t.Parallel()
	file := func(sql string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(sql)} }
	for name, tc := range map[string]struct {
		files fstest.MapFS
		want  []string
	}{
		"in order": {fstest.MapFS{
			"migrations/20260101000002_b.sql": file("b"), "migrations/20260101000001_c.sql": file("c"),
		}, []string{"20260101000001", "20260101000002"}},
		"misnamed": {fstest.MapFS{"migrations/1_b.sql": file("b")}, nil},
		"twice": {fstest.MapFS{
			"migrations/20260101000001_b.sql": file("b"), "migrations/20260101000001_c.sql": file("c"),
		}, nil},
		"no folder": {fstest.MapFS{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := postgres.ReadMigrations(tc.files)
			if (err != nil) != (tc.want == nil) || !slices.Equal(versions(all), tc.want) {
				t.Errorf("read %v, error %v; want %v", versions(all), err, tc.want)
			}
		})
	}
}
