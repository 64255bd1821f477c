-- How the deletion of a tenant goes on, and what is known of it when the tenant is gone: who asked, what was
-- erased, where its export lies, and where its audit trail ended. It outlives the tenant, so it refers to none.
create table public.tenant_deletions (
  id               uuid primary key,
  tenant_id        uuid not null,
  slug             text not null,
  name             text not null,
  phase            text not null check (phase in ('waiting', 'stopping', 'exporting', 'erasing', 'completed', 'cancelled')),
  reason           text not null default '',
  requested_by     text not null,
  requested_at     timestamptz not null,
  erase_at         timestamptz not null,
  cancelled_by     text,
  cancelled_at     timestamptz,
  began_at         timestamptz,
  finished_at      timestamptz,
  export           boolean not null,
  export_path      text not null default '',
  manifest_sha256  text not null default '',
  exported         jsonb not null default '{}',
  erased           jsonb not null default '{}',
  step             jsonb not null default '{}',
  error            text not null default '',
  audit_position   bigint,
  audit_hash       bytea,
  status_before    text not null,
  reason_before    text not null,
  status_at_before timestamptz not null
);
create unique index tenant_deletions_open on public.tenant_deletions (tenant_id) where phase not in ('completed', 'cancelled');
create index tenant_deletions_of on public.tenant_deletions (tenant_id, id desc);
alter table public.tenant_deletions enable row level security;
alter table public.tenant_deletions force row level security;
create policy platform_rows on public.tenant_deletions for all to service_role using (true) with check (true);
revoke all on public.tenant_deletions from anon, authenticated, service_role, public;
grant select, insert, update on public.tenant_deletions to service_role;

-- The audit trail is append-only for every role of the application (20261122000002). These two functions are
-- the one way through, for a tenant that is being deleted: they run as their owner, who migrated, and only the
-- platform's role may call them.
create function lari.erase_audit_rows(tenant uuid, batch integer) returns bigint
language plpgsql volatile security definer set search_path = '' as $$
declare
  removed bigint;
begin
  perform set_config('lari.erase_tenant', tenant::text, true);
  if not exists (select from public.tenants where id = tenant and status = 'deleting') then
    raise exception 'the audit trail of % is kept: the tenant is not being deleted', tenant using errcode = 'insufficient_privilege';
  end if;
  delete from public.audit_logs where ctid = any (array(
    select l.ctid from public.audit_logs l where l.tenant_id = tenant order by l.position limit batch));
  get diagnostics removed = row_count;
  perform set_config('lari.erase_tenant', '', true);
  return removed;
end $$;

-- Gives where the trail ended; it is empty by then.
create function lari.erase_audit_head(tenant uuid) returns table (ended_at bigint, ended_with bytea)
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform set_config('lari.erase_tenant', tenant::text, true);
  if not exists (select from public.tenants where id = tenant and status = 'deleting') or exists (select from public.audit_logs where tenant_id = tenant) then
    raise exception 'the audit trail of % is kept', tenant using errcode = 'insufficient_privilege';
  end if;
  return query delete from public.audit_heads h where h.tenant_id = tenant returning h.position, h.hash;
  perform set_config('lari.erase_tenant', '', true);
end $$;
revoke execute on function lari.erase_audit_rows(uuid, integer), lari.erase_audit_head(uuid) from public;
grant execute on function lari.erase_audit_rows(uuid, integer), lari.erase_audit_head(uuid) to service_role;

-- Row security holds for the owner too, unless it may pass it (a superuser, Supabase's postgres): within
-- these functions it sees the rows of the one tenant.
do $$
declare
  t text;
begin
  if (select not rolsuper and not rolbypassrls from pg_roles where rolname = current_user) then
    foreach t in array array['audit_logs', 'audit_heads'] loop
      execute format('create policy erased_rows on public.%I for all to %I using (tenant_id::text = current_setting(''lari.erase_tenant'', true))', t, current_user);
    end loop;
    execute format('create policy erased_rows on public.tenants for select to %I using (id::text = current_setting(''lari.erase_tenant'', true))', current_user);
  end if;
end $$;
