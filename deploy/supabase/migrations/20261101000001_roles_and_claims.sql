-- What Supabase brings and plain Postgres does not: the three API roles and auth.jwt(). Each is created
-- only when absent, so the same files run on both.
do $$
begin
  if not exists (select from pg_roles where rolname = 'anon') then create role anon nologin noinherit; end if;
  if not exists (select from pg_roles where rolname = 'authenticated') then create role authenticated nologin noinherit; end if;
  if not exists (select from pg_roles where rolname = 'service_role') then create role service_role nologin noinherit; end if;
exception when duplicate_object or unique_violation then
  null; -- roles belong to the cluster: another database was migrated at the same moment
end $$;

-- The login role becomes these roles, and has none of their rights before it does: a statement that
-- forgot its role sees nothing. (Before Postgres 16 that takes a login role with NOINHERIT.)
do $$
declare
  modern constant boolean := current_setting('server_version_num')::int >= 160000;
  r text;
begin
  foreach r in array array['authenticated', 'service_role'] loop
    if not pg_has_role(current_user, r, case when modern then 'SET' else 'MEMBER' end) then
      execute format('grant %I to %I', r, current_user) || case when modern then ' with inherit false' else '' end;
    end if;
  end loop;
end $$;

create schema if not exists auth;

do $$
begin
  if to_regprocedure('auth.jwt()') is null then
    create function auth.jwt() returns jsonb language sql stable as
      $f$ select coalesce(nullif(current_setting('request.jwt.claim', true), ''),
                          nullif(current_setting('request.jwt.claims', true), ''))::jsonb $f$;
    grant usage on schema auth to anon, authenticated, service_role;
    grant execute on function auth.jwt() to anon, authenticated, service_role;
  end if;
end $$;

create schema if not exists lari;
grant usage on schema lari to authenticated, service_role;

-- The tenant of the caller: the same claim that Supabase Auth puts into a user's token.
create function lari.tenant_id() returns uuid language sql stable as
  $$ select nullif(auth.jwt() -> 'app_metadata' ->> 'tenant_id', '')::uuid $$;

-- True for the service itself. A user's own token reads rows directly but never writes them: every
-- write passes the service, which checks permissions and raises events. No issuer signs this claim.
create function lari.is_writer() returns boolean language sql stable as
  $$ select coalesce((auth.jwt() ->> 'lari_writer')::boolean, false) $$;

-- One way to fence a table, for this and every later migration. The column is the one that holds the
-- tenant. Claims are read in a subselect: once per statement, not once per row.
create function lari.isolate_tenants(target regclass, tenant_column name default 'tenant_id') returns void
language plpgsql as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('create policy tenant_rows on %s for all to authenticated
                    using (%I = (select lari.tenant_id())) with check (%I = (select lari.tenant_id()))',
                 target, tenant_column, tenant_column);
  execute format('create policy writer_inserts on %s as restrictive for insert to authenticated
                    with check ((select lari.is_writer()))', target);
  execute format('create policy writer_updates on %s as restrictive for update to authenticated
                    using ((select lari.is_writer()))', target);
  execute format('create policy writer_deletes on %s as restrictive for delete to authenticated
                    using ((select lari.is_writer()))', target);
  execute format('create policy platform_rows on %s for all to service_role using (true) with check (true)', target);
  -- Supabase grants everything on new tables by default, also truncate, which no policy holds back.
  execute format('revoke all on %s from anon, authenticated, service_role, public', target);
  execute format('grant select, insert, update, delete on %s to authenticated, service_role', target);
end $$;
revoke execute on function lari.isolate_tenants(regclass, name) from public;
