-- Append-only, also for the service: no role that it uses may change or remove a row.
create table public.audit_logs (
  id            uuid primary key,
  tenant_id     uuid not null references public.tenants (id),
  at            timestamptz not null,
  actor         text not null,
  action        text not null,
  resource_type text not null,
  resource_id   text not null,
  outcome       text not null,
  request_id    text not null default '',
  data          jsonb not null default '{}',
  dedup_key     text not null,
  unique (tenant_id, dedup_key)
);
create index audit_logs_list on public.audit_logs (tenant_id, at desc, id desc);
select lari.isolate_tenants('public.audit_logs');
revoke update, delete on public.audit_logs from authenticated, service_role;
