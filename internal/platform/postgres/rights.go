package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// MissingRightsError reports that the login which migrates may not do what the migrations do.
type MissingRightsError struct {
	Role, Database string
	Owner          string   // who owns what earlier migrations made, if that is another: migrate as that one
	Statements     []string // else: what a superuser must run in the database first, in this order
}

// Error lists the statements, one a line, so that they can be copied.
func (e *MissingRightsError) Error() string {
	if e.Owner != "" {
		return fmt.Sprintf("role %q does not own what earlier migrations made in database %q; nothing was applied. Migrate as %q.", e.Role, e.Database, e.Owner)
	}
	return fmt.Sprintf("role %q lacks rights in database %q; nothing was applied. Let a superuser run there, then migrate again:\n\n%s\n",
		e.Role, e.Database, strings.Join(e.Statements, "\n"))
}

// checkRights returns a *MissingRightsError when the migrations that are missing could not be applied.
func checkRights(ctx context.Context, conn *pgx.Conn, missing []Migration) error {
	if len(missing) == 0 {
		return nil
	}
	e := &MissingRightsError{}
	if err := conn.QueryRow(ctx, ownerSQL).Scan(&e.Role, &e.Database, &e.Owner); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, rightsSQL)
	if err != nil {
		return err
	}
	if e.Statements, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || e.Owner == "" && len(e.Statements) == 0 {
		return err
	}
	return e
}

// ownerSQL names the owner of what the migrations made, empty when the login has its rights or there is nothing yet.
const ownerSQL = `
select current_user, current_database(), coalesce((
	select o.rolname from pg_namespace n join pg_roles o on o.oid = n.nspowner
	where n.nspname = 'lari' and not pg_has_role(current_user, n.nspowner, 'USAGE')), '')`

// rightsSQL lists the statements that the login lacks, in the order in which they are run. It reads catalogues only: a
// function that takes the name of a thing fails where the login may not see it.
const rightsSQL = `
with me as (
	select rolname as name, oid, rolsuper as super, rolsuper or rolcreaterole as makes_roles,
		current_setting('server_version_num')::int >= 160000 as modern,
		current_database() as db
	from pg_roles where rolname = current_user),
-- Without the last two the service works: slower searches, and no login that owns nothing.
wanted (role, member, needed) as (values
	('anon', false, true), ('authenticated', true, true), ('service_role', true, true), ('lari_search', true, false), ('lari_service', false, false)),
roles as (
	select w.role, w.member, w.needed, r.oid, m.makes_roles, m.modern,
		r.oid is null and not m.makes_roles as absent,
		-- Before 16 who makes roles also grants them; since then the admin option is needed, which the maker of a role has.
		w.member and not case
			when r.oid is null then m.makes_roles
			when m.modern then pg_has_role(m.oid, r.oid, 'SET') or pg_has_role(m.oid, r.oid, 'MEMBER WITH ADMIN OPTION')
			else m.makes_roles or pg_has_role(m.oid, r.oid, 'MEMBER') end as stranger
	from wanted w cross join me m left join pg_roles r on r.rolname = w.role),
statements (n, needed, statement) as (
	select 1, needed, format('create role %I nologin noinherit;', role) from roles where absent
	union all
	select 2, bool_or(needed), format('grant %s to %I%s;', string_agg(quote_ident(role), ', ' order by role), (select name from me),
		case when (select modern from me) then ' with inherit false, set true' else '' end) from roles where stranger having count(*) > 0
	union all
	select 3, true, format('grant create on database %I to %I;', db, name) from me where not has_database_privilege(oid, db, 'CREATE')
	union all
	select 4, true, format('grant usage, create on schema public to %I;', name) from me, pg_namespace n
	where n.nspname = 'public' and not (has_schema_privilege(me.oid, n.oid, 'USAGE') and has_schema_privilege(me.oid, n.oid, 'CREATE'))
	union all
	select 4, true, format('create schema public authorization %I;', name) from me
	where not exists (select from pg_namespace where nspname = 'public')
	union all
	-- Supabase Auth was here first: its schema is looked into, and gets auth.jwt() for a moment if it has none.
	select 5, true, format('grant usage%s on schema auth to %I;', case when f.oid is null then ', create' else '' end, me.name)
	from me join pg_namespace n on n.nspname = 'auth' left join pg_proc f on f.pronamespace = n.oid and f.proname = 'jwt' and f.pronargs = 0
	where not exists (select from pg_proc p join pg_namespace l on l.oid = p.pronamespace where l.nspname = 'lari' and p.proname = 'claims')
		and not (has_schema_privilege(me.oid, n.oid, 'USAGE') and (f.oid is not null or has_schema_privilege(me.oid, n.oid, 'CREATE')))
	union all
	select 6, true, format('alter schema supabase_migrations owner to %I;', name) from me, pg_namespace n
	where n.nspname = 'supabase_migrations' and not (has_schema_privilege(me.oid, n.oid, 'USAGE') and has_schema_privilege(me.oid, n.oid, 'CREATE'))
	union all
	select 7, true, format('alter table supabase_migrations.%I owner to %I;', c.relname, me.name) from me, pg_class c join pg_namespace n on n.oid = c.relnamespace
	where n.nspname = 'supabase_migrations' and c.relname = 'schema_migrations' and not pg_has_role(me.oid, c.relowner, 'USAGE'))
select statement from statements, me where not me.super and exists (select from statements where needed) order by n, statement`
