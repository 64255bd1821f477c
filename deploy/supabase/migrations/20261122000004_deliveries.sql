-- Receivers that a tenant registered. events holds a subset of the five lifecycle types; fields, when
-- set, names the top-level fields of an event's data that are sent.
create table public.webhook_endpoints (
  id              uuid primary key,
  tenant_id       uuid not null references public.tenants (id),
  url             text not null,
  description     text not null default '',
  events          text[] not null check (cardinality(events) > 0 and events <@
                    array['run_started', 'run_progress', 'run_completed', 'run_error', 'run_cancelled']),
  agent_id        uuid,
  fields          text[],
  headers         jsonb not null default '{}',
  status          text not null default 'enabled' check (status in ('enabled', 'disabled')),
  disabled_at     timestamptz,
  disabled_reason text not null default '',
  failing_since   timestamptz,
  created_by      text not null,
  created_at      timestamptz not null,
  updated_at      timestamptz not null,
  unique (tenant_id, id),
  foreign key (tenant_id, agent_id) references public.agents (tenant_id, id) on delete cascade
);
create index webhook_endpoints_wanting on public.webhook_endpoints (tenant_id) where status = 'enabled';
select lari.isolate_tenants('public.webhook_endpoints');

-- What sign requests. A secret that was replaced goes on signing beside the new one until it expires.
create table public.webhook_secrets (
  id          uuid primary key,
  tenant_id   uuid not null,
  endpoint_id uuid not null,
  secret      text not null,
  created_at  timestamptz not null,
  expires_at  timestamptz,
  foreign key (tenant_id, endpoint_id) references public.webhook_endpoints (tenant_id, id) on delete cascade
);
create index webhook_secrets_of on public.webhook_secrets (tenant_id, endpoint_id, id desc);
select lari.isolate_tenants('public.webhook_secrets');
-- A user's own token reads its tenant's rows directly, but never these.
create policy writer_reads on public.webhook_secrets as restrictive for select to authenticated
  using ((select lari.is_writer()));

-- Ids made in the database are UUIDv7 as well (RFC 9562, 5.7): milliseconds, then chance.
create function lari.uuid_v7() returns uuid language sql volatile as $$
  select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing
    substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;

-- The outbox of remote connectors: what each is to be told, written in the transaction that records the
-- event, and how that went. handed_at is set once Temporal has the delivery.
create table public.deliveries (
  id          uuid primary key default lari.uuid_v7(),
  tenant_id   uuid not null references public.tenants (id),
  run_id      uuid not null,
  seq         bigint not null,
  type        text not null,
  connector   text not null,
  endpoint_id uuid,
  status      text not null default 'pending' check (status in ('pending', 'delivered', 'refused', 'failed')),
  attempts    integer not null default 0,
  error       text not null default '',
  created_at  timestamptz not null default now(),
  handed_at   timestamptz,
  finished_at timestamptz,
  unique (tenant_id, id),
  foreign key (tenant_id, run_id) references public.agent_runs (tenant_id, id) on delete cascade,
  foreign key (tenant_id, endpoint_id) references public.webhook_endpoints (tenant_id, id) on delete cascade,
  check ((finished_at is null) = (status = 'pending'))
);
create unique index deliveries_once on public.deliveries (run_id, seq, connector, endpoint_id) nulls not distinct;
create index deliveries_by_endpoint on public.deliveries (tenant_id, endpoint_id, id desc) where endpoint_id is not null;
create index deliveries_unhanded on public.deliveries (created_at) where handed_at is null and status = 'pending';
create index deliveries_old on public.deliveries (created_at);
select lari.isolate_tenants('public.deliveries');

create table public.delivery_attempts (
  tenant_id   uuid not null,
  delivery_id uuid not null,
  n           integer not null,
  at          timestamptz not null,
  duration_ms bigint not null,
  status_code integer,
  error       text not null default '',
  response    text not null default '',
  primary key (delivery_id, n),
  foreign key (tenant_id, delivery_id) references public.deliveries (tenant_id, id) on delete cascade
);
select lari.isolate_tenants('public.delivery_attempts');
