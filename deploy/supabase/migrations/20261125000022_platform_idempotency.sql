-- Idempotency keys of requests that act in no tenant, such as the making of one. It has the columns of
-- idempotency_keys, so that the same statements serve both; tenant_id is always the nil one.
create table public.platform_idempotency_keys (
  tenant_id    uuid not null check (tenant_id = '00000000-0000-0000-0000-000000000000'),
  route        text not null,
  key          text not null,
  request_hash bytea not null,
  resource_id  uuid not null,
  status       int,
  location     text,
  body         bytea,
  locked_until timestamptz not null,
  created_at   timestamptz not null default now(),
  primary key (tenant_id, route, key)
);
create index platform_idempotency_keys_age on public.platform_idempotency_keys (created_at);
alter table public.platform_idempotency_keys enable row level security;
alter table public.platform_idempotency_keys force row level security;
create policy platform_rows on public.platform_idempotency_keys for all to service_role using (true) with check (true);
revoke all on public.platform_idempotency_keys from anon, authenticated, service_role, public;
grant select, insert, update, delete on public.platform_idempotency_keys to service_role;
