-- The claims of the caller are read from the setting that PostgREST and the service write, not through auth.jwt():
-- schema auth belongs to Supabase Auth, which may be installed before or after these migrations, and to its role.
-- These bodies are parsed here, once: no search_path of a caller changes what they mean.
create function lari.claims() returns jsonb language sql stable parallel safe
  return nullif(current_setting('request.jwt.claims', true), '')::jsonb;

create or replace function lari.tenant_id() returns uuid language sql stable parallel safe
  return nullif(lari.claims() -> 'app_metadata' ->> 'tenant_id', '')::uuid;

-- Members of this role are logins of the service that own nothing. Where it cannot be made, the login that migrates
-- serves too.
do $$
begin
  if not exists (select from pg_roles where rolname = 'lari_service') then create role lari_service nologin noinherit; end if;
exception when duplicate_object or unique_violation then
  null; -- roles belong to the cluster: another database was migrated at the same moment
when insufficient_privilege then
  raise notice 'there is no role lari_service: the login that migrates must also serve';
end $$;

-- Defines lari.is_writer, which reports whether the service runs the statement. The claim alone is not believed, because
-- whoever signs tokens could sign it: it counts in a session of a login that may create in schema lari, or is a member of
-- lari_service, and PostgREST has another one. Supabase's Realtime relays the claims of tokens as a superuser, who may
-- do everything. The role cannot be named before it exists.
create function lari.recognise_service() returns void language plpgsql as $$
begin
  execute format($f$
    create or replace function lari.is_writer() returns boolean language sql stable parallel safe
      return coalesce((lari.claims() ->> 'lari_writer')::boolean, false) and session_user <> 'supabase_admin'
        and (has_schema_privilege(session_user, 'lari', 'CREATE')%s)
    $f$, case when exists (select from pg_roles where rolname = 'lari_service') then ' or pg_has_role(session_user, ''lari_service'', ''MEMBER'')' end);
end $$;
revoke execute on function lari.recognise_service() from public;
select lari.recognise_service();

-- Schema auth belongs to Supabase Auth. What the first migration made there goes again: it stood in the way of an
-- Auth that is installed later, as another role. Where others use the schema by now, its owner gets the function. It is
-- known by its text, to the space.
do $$
declare
  home pg_namespace;
begin
  select n.* into home from pg_proc f join pg_namespace n on n.oid = f.pronamespace
    where n.nspname = 'auth' and f.proname = 'jwt' and f.pronargs = 0 and f.proowner = current_user::regrole
      and obj_description(f.oid, 'pg_proc') is null and f.prosrc = $f$ select coalesce(nullif(current_setting('request.jwt.claim', true), ''),
                          nullif(current_setting('request.jwt.claims', true), ''))::jsonb $f$;
  if not found then
    return;
  elsif home.nspowner = current_user::regrole then
    drop function auth.jwt();
    drop schema auth;
  else
    begin
      execute format('alter function auth.jwt() owner to %I', (select rolname from pg_roles where oid = home.nspowner));
    exception when insufficient_privilege then
      drop function auth.jwt(); -- its owner makes it again
    end;
  end if;
exception when dependent_objects_still_exist or insufficient_privilege then
  raise notice 'auth.jwt() stays as it is: %', sqlerrm; -- docs/operations.md says what Supabase Auth then needs
end $$;

-- A login that serves and does not migrate reads what was applied, to say whether it is ready.
do $$
begin
  if not exists (select from pg_roles where rolname = 'lari_service') then
    return;
  end if;
  grant usage on schema supabase_migrations to lari_service;
  grant select on supabase_migrations.schema_migrations to lari_service;
exception when insufficient_privilege or invalid_schema_name or undefined_table then
  raise notice 'lari_service cannot read the history of migrations: %', sqlerrm;
end $$;
