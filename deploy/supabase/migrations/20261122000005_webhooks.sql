-- The values of a tenant's own headers are its secrets. They leave the endpoint's row, which a user's own
-- token reads, for a table that only the service reads.
create table public.webhook_headers (
  endpoint_id uuid primary key,
  tenant_id   uuid not null,
  headers     jsonb not null,
  foreign key (tenant_id, endpoint_id) references public.webhook_endpoints (tenant_id, id) on delete cascade
);
select lari.isolate_tenants('public.webhook_headers');
create policy writer_reads on public.webhook_headers as restrictive for select to authenticated
  using ((select lari.is_writer()));
alter table public.webhook_endpoints drop column headers;

-- A deleted endpoint stays, emptied, for as long as deliveries and idempotency keys speak of it: what is
-- under way to it ends as refused, and a repeated request does not make it anew.
alter table public.webhook_endpoints
  add column deleted_at timestamptz,
  add constraint webhook_endpoints_deleted check (deleted_at is null or status = 'disabled');
create index webhook_endpoints_list on public.webhook_endpoints (tenant_id, id desc) where deleted_at is null;
create index webhook_endpoints_deleted_at on public.webhook_endpoints (tenant_id, deleted_at) where deleted_at is not null;
