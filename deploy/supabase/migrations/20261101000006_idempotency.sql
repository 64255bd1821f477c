-- The first answer to each Idempotency-Key. resource_id is chosen with the key, before the work: a
-- request that takes over from a process that died makes the same resource, not a second one.
create table public.idempotency_keys (
  tenant_id    uuid not null references public.tenants (id),
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
create index idempotency_keys_age on public.idempotency_keys (created_at);
select lari.isolate_tenants('public.idempotency_keys');
