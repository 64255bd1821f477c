-- A search could not use its index: what a policy demands is looked at before anything that is not
-- leakproof, and @@ is not. Here both stand in one policy, of a role that can do nothing but search: it
-- sees the rows of the claim's tenant that match the query of the transaction, and no others.
do $$
begin
  if not exists (select from pg_roles where rolname = 'lari_search') then create role lari_search nologin noinherit; end if;
exception when duplicate_object or unique_violation then
  null; -- roles belong to the cluster: another database was migrated at the same moment
when insufficient_privilege then
  raise warning 'the role lari_search cannot be made: searches do without their index';
end $$;

do $$
declare
  modern constant boolean := current_setting('server_version_num')::int >= 160000;
begin
  if exists (select from pg_roles where rolname = 'lari_search') and not pg_has_role(current_user, 'lari_search', case when modern then 'SET' else 'MEMBER' end) then
    execute format('grant lari_search to %I', current_user) || case when modern then ' with inherit false' else '' end;
  end if;
exception when insufficient_privilege then
  raise warning 'lari_search cannot be granted to %: searches do without their index', current_user;
end $$;

-- The query of a search, for the rest of the transaction: set_config('lari.search_query', …, true). Without
-- one, nothing matches.
create function lari.search_query() returns tsquery language sql stable set search_path = pg_catalog as
  $$ select nullif(current_setting('lari.search_query', true), '')::tsquery $$;
revoke execute on function lari.search_query() from public;
grant execute on function lari.search_query() to authenticated;

-- The claim is read as lari.tenant_id() reads it, without schema auth, on which Supabase lets nobody grant.
do $$
begin
  if exists (select from pg_roles where rolname = 'lari_search') then
    grant usage on schema lari, public to lari_search;
    grant execute on function lari.search_query() to lari_search;
    grant select on public.documents to lari_search;
    create policy search_rows on public.documents for select to lari_search
      using (tenant_id = (select nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb -> 'app_metadata' ->> 'tenant_id', '')::uuid)
             and search @@ (select lari.search_query()));
  end if;
end $$;

-- A list of pending entries is read whole by every search, until a vacuum empties it.
alter index public.documents_search set (fastupdate = off);
