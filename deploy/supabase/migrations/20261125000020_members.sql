-- Who belongs to a tenant, and as what. user_id is the sub of the tokens that Supabase Auth signs.
create table public.members (
  tenant_id  uuid not null references public.tenants (id) on delete cascade,
  user_id    text not null check (octet_length(user_id) between 1 and 190),
  email      text not null default '',
  role       text not null check (role in ('viewer', 'operator', 'admin', 'owner')),
  created_by text not null,
  created_at timestamptz not null,
  updated_by text not null,
  updated_at timestamptz not null,
  primary key (tenant_id, user_id)
);
create index members_by_user on public.members (user_id);
select lari.isolate_tenants('public.members');

-- The hook "custom access token" of Supabase Auth: it is asked whenever a token is signed, and says which
-- tenants the user belongs to. What it says replaces what stood there: members are the one source. A user of
-- one tenant acts in it by default; one of several in the one that app_metadata.tenant_id names, if any. A
-- token must stay small enough for a header, so it holds the first hundred tenants.
create function lari.custom_access_token_hook(event jsonb) returns jsonb language plpgsql stable set search_path = '' as $$
declare
  claims jsonb := case when jsonb_typeof(event -> 'claims') = 'object' then event -> 'claims' else '{}' end;
  app jsonb := case when jsonb_typeof(claims -> 'app_metadata') = 'object' then claims -> 'app_metadata' else '{}' end;
  roles jsonb;
  members integer;
  acting text := app ->> 'tenant_id';
begin
  select coalesce(jsonb_object_agg(m.tenant_id, m.role), '{}'), count(*), case when count(*) = 1 then min(m.tenant_id::text) else acting end
    into roles, members, acting
    from (
      select m.tenant_id, m.role from public.members m join public.tenants t on t.id = m.tenant_id
      where m.user_id = event ->> 'user_id' and t.status <> 'deleting' order by m.created_at, m.tenant_id limit 100) m;
  app := (app - 'tenant_id' - 'role') || jsonb_build_object('tenants', roles);
  if acting is not null and roles ? acting then
    app := app || jsonb_build_object('tenant_id', acting, 'role', roles -> acting);
  end if;
  return jsonb_set(event, '{claims}', jsonb_set(claims, '{app_metadata}', app));
end $$;
revoke execute on function lari.custom_access_token_hook(jsonb) from public;

-- Lets the role that signs tokens call the hook, and read what it needs of members and tenants, and no more.
create function lari.allow_token_hook(caller name default 'supabase_auth_admin') returns void language plpgsql as $$
begin
  execute format('grant usage on schema lari, public to %I', caller);
  execute format('grant execute on function lari.custom_access_token_hook(jsonb) to %I', caller);
  execute format('grant select (tenant_id, user_id, role, created_at) on public.members to %I', caller);
  execute format('grant select (id, status) on public.tenants to %I', caller);
  drop policy if exists token_hook on public.members;
  drop policy if exists token_hook on public.tenants;
  execute format('create policy token_hook on public.members for select to %I using (true)', caller);
  execute format('create policy token_hook on public.tenants for select to %I using (true)', caller);
end $$;
revoke execute on function lari.allow_token_hook(name) from public;

do $$
begin
  if exists (select from pg_roles where rolname = 'supabase_auth_admin') then
    perform lari.allow_token_hook();
  end if;
end $$;

-- Lists of tenants, for the platform: by the beginning of the slug, and those that are not as most are.
create index tenants_slug_prefix on public.tenants (slug text_pattern_ops);
create index tenants_not_active on public.tenants (status, id desc) where status <> 'active';
