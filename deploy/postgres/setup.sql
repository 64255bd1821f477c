-- Prepares a Postgres 15 or later for Lari, once, before the first migration. Change the two passwords, then let a
-- superuser run it, or the administrator of a managed Postgres (a role with createrole and createdb):
--
--   psql -v ON_ERROR_STOP=1 -d postgres -f setup.sql

-- Who migrates, and owns what the migrations make: `lari migrate` alone knows its password.
create role lari_owner login noinherit password 'change this password';

-- Who serves: `lari api` and `lari worker`. It owns nothing, so it cannot take the guards of the audit log away.
create role lari login noinherit password 'change this one too';

-- Roles that Supabase brings, and two of Lari's own. They belong to the cluster and may be there.
do $$
declare
  r text;
begin
  foreach r in array array['anon', 'authenticated', 'service_role', 'lari_search', 'lari_service'] loop
    if not exists (select from pg_roles where rolname = r) then execute format('create role %I nologin noinherit', r); end if;
  end loop;
end $$;

-- Statements run as one of these roles. Neither login has any right of theirs before it becomes one (NOINHERIT).
grant authenticated, service_role, lari_search, lari_service to lari_owner, lari;

create database lari;

\connect lari

-- Who runs this owns the database; who migrates makes schemas and tables in it.
grant create on database lari to lari_owner;

grant usage, create on schema public to lari_owner;

-- Nobody needs temporary tables.
revoke temporary on database lari from public;
