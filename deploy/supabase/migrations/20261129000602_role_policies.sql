-- A tenant's user who comes with a token of Supabase Auth, past the API, reads what the API would show to its role.
-- Policies said only whose row it is: a viewer saw the receivers of webhooks, and a token without a role everything.

-- Generated from internal/platform/auth (PolicySQL): which role grants which permission.
create function lari.role_can(role text, permission text) returns boolean language sql immutable parallel safe
  return false;

-- The tenant in which the token of a user grants the permission; null: it does in none. The token is understood as the
-- API understands it (internal/platform/auth/claims.go): what it would refuse, reads nothing.
create function lari.member_tenant(permission text) returns uuid language plpgsql stable set search_path = '' as $$
declare
  claims constant jsonb := lari.claims();
  app constant jsonb := claims -> 'app_metadata';
  tenant text := nullif(app ->> 'tenant_id', '');
  role text := nullif(app ->> 'role', '');
  listed constant jsonb := nullif(app -> 'tenants', 'null');
  named text;
  id constant text := '^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$';
  roles constant text[] := '{viewer,operator,admin,owner}';
begin
  if app is null or role <> all (roles) then
    return null;
  end if;
  if listed is not null then
    if jsonb_typeof(listed) <> 'object' or exists (
        select from jsonb_each_text(listed) l where l.key !~ id or l.value is null or l.value <> all (roles))
      or (select count(*) <> count(distinct lower(l.key)) from jsonb_each_text(listed) l) then
      return null;
    end if;
    if tenant is null and (select count(*) = 1 from jsonb_each_text(listed)) then
      select l.key, l.value into tenant, role from jsonb_each_text(listed) l;
    end if;
    select l.value into named from jsonb_each_text(listed) l where lower(l.key) = lower(tenant);
    if role <> named then
      return null;
    end if;
    role := coalesce(role, named);
  end if;
  if tenant ~ id and lari.role_can(role, permission) then
    return tenant::uuid;
  end if;
  return null;
end $$;

-- The tenant whose rows the caller reads with the permission: the service those of the tenant that it acts for. Policies
-- call it in a subselect: once per statement, not once per row.
create function lari.readable_tenant(permission text) returns uuid language sql stable
  return case when lari.is_writer() then lari.tenant_id() else lari.member_tenant(permission) end;

-- Says by which permission a tenant's user reads a table; empty: by none, the rows are the service's alone.
create function lari.readable_with(target regclass, permission text) returns void language plpgsql as $$
begin
  execute format('alter policy tenant_rows on %s using (%I = (select lari.readable_tenant(%L)))', target,
    case target when 'public.tenants'::regclass then 'id' else 'tenant_id' end, permission);
end $$;
revoke execute on function lari.readable_with(regclass, text) from public;

-- Fences a table, for this and every later migration: its rows are the tenant's, and who reads them past the service
-- must hold the permission; by default nobody does. Functions of the policies stand in a subselect: once per
-- statement, not once per row.
drop function lari.isolate_tenants(regclass, name);
create function lari.isolate_tenants(target regclass, tenant_column name default 'tenant_id', reads text default '') returns void
language plpgsql as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('create policy tenant_rows on %s for all to authenticated
                    using (%I = (select lari.readable_tenant(%L))) with check (%2$I = (select lari.tenant_id()))',
                 target, tenant_column, reads);
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
revoke execute on function lari.isolate_tenants(regclass, name, text) from public;

-- Every table that there is was readable by every token of its tenant: now by none, but for those below.
do $$
declare
  t record;
begin
  for t in select format('%I.%I', schemaname, tablename)::regclass as name from pg_policies where schemaname = 'public' and policyname = 'tenant_rows' loop
    perform lari.readable_with(t.name, '');
  end loop;
end $$;
drop policy writer_reads on public.webhook_secrets;
drop policy writer_reads on public.webhook_headers;

-- Whether the platform begins runs is shown with a tenant's own state.
alter policy everyone_reads on public.platform_state using ((select lari.readable_tenant('agent:manage')) is not null);

create or replace function lari.role_can(role text, permission text) returns boolean language sql immutable parallel safe
  return case permission
    when 'run:create' then role in ('operator', 'admin', 'owner')
    when 'run:read' then role in ('viewer', 'operator', 'admin', 'owner')
    when 'run:update' then role in ('operator', 'admin', 'owner')
    when 'agent:read' then role in ('viewer', 'operator', 'admin', 'owner')
    when 'agent:manage' then role in ('admin', 'owner')
    when 'knowledge:read' then role in ('viewer', 'operator', 'admin', 'owner')
    when 'knowledge:manage' then role in ('admin', 'owner')
    when 'tool:read' then role in ('viewer', 'operator', 'admin', 'owner')
    when 'tool:manage' then role in ('admin', 'owner')
    when 'analytics:read' then role in ('viewer', 'operator', 'admin', 'owner')
    when 'analytics:manage' then role in ('admin', 'owner')
    when 'tenant:read' then role in ('viewer', 'operator', 'admin', 'owner')
    when 'tenant:manage' then role in ('owner')
    when 'audit:read' then role in ('viewer', 'operator', 'admin', 'owner')
    else false end;
select lari.readable_with('public.agent_runs', 'run:read');
select lari.readable_with('public.agent_versions', 'agent:read');
select lari.readable_with('public.agents', 'agent:read');
select lari.readable_with('public.analytics_latency', 'analytics:read');
select lari.readable_with('public.analytics_pending', 'analytics:read');
select lari.readable_with('public.analytics_reports', 'analytics:read');
select lari.readable_with('public.analytics_runs', 'analytics:read');
select lari.readable_with('public.analytics_usage', 'analytics:read');
select lari.readable_with('public.api_keys', 'tenant:read');
select lari.readable_with('public.approvals', 'run:read');
select lari.readable_with('public.audit_heads', 'audit:read');
select lari.readable_with('public.audit_logs', 'audit:read');
select lari.readable_with('public.daemon_states', 'agent:manage');
select lari.readable_with('public.deliveries', 'agent:manage');
select lari.readable_with('public.delivery_attempts', 'agent:manage');
select lari.readable_with('public.documents', 'knowledge:read');
select lari.readable_with('public.members', 'tenant:read');
select lari.readable_with('public.messages', 'run:read');
select lari.readable_with('public.quota_usage', 'tenant:read');
select lari.readable_with('public.run_events', 'run:read');
select lari.readable_with('public.run_logs', 'run:read');
select lari.readable_with('public.run_messages', 'run:read');
select lari.readable_with('public.run_steps', 'run:read');
select lari.readable_with('public.schedule_changes', 'agent:manage');
select lari.readable_with('public.schedule_firings', 'agent:manage');
select lari.readable_with('public.schedules', 'agent:manage');
select lari.readable_with('public.tenant_quotas', 'tenant:read');
select lari.readable_with('public.tenants', 'tenant:read');
select lari.readable_with('public.threads', 'run:read');
select lari.readable_with('public.tool_calls', 'run:read');
select lari.readable_with('public.webhook_endpoints', 'agent:manage');
select lari.readable_with('public.workspaces', 'tenant:read');
