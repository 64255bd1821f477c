-- What Temporal cannot keep of a schedule: whose it is, what its runs are made of, and what was done with it.
-- When it fires is Temporal's alone. A schedule that is being created or deleted is not shown; one that stays so
-- because a process died is cleared away.
create table public.schedules (
  id         uuid primary key,
  tenant_id  uuid not null references public.tenants (id) on delete cascade,
  name       text not null,
  run        jsonb not null,
  state      text not null default 'creating' check (state in ('creating', 'active', 'deleting')),
  created_by text not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  unique (tenant_id, id)
);
create index schedules_list on public.schedules (tenant_id, id desc) where state = 'active';
create index schedules_unsettled on public.schedules (updated_at) where state <> 'active';
select lari.isolate_tenants('public.schedules');

-- What was done with a schedule. from_at and to_at are the firing times that it was about.
create table public.schedule_changes (
  id          uuid primary key,
  tenant_id   uuid not null,
  schedule_id uuid not null,
  kind        text not null check (kind in ('created', 'respecified', 'updated', 'paused', 'resumed', 'triggered', 'backfilled', 'skipped')),
  note        text not null default '',
  from_at     timestamptz,
  to_at       timestamptz,
  changed_by  text not null,
  changed_at  timestamptz not null,
  foreign key (tenant_id, schedule_id) references public.schedules (tenant_id, id) on delete cascade
);
create index schedule_changes_of on public.schedule_changes (schedule_id, changed_at);
select lari.isolate_tenants('public.schedule_changes');

-- What became of each firing that reached the platform. Its id is the id that its run has or would have had.
create table public.schedule_firings (
  id          uuid primary key,
  tenant_id   uuid not null,
  schedule_id uuid not null,
  nominal_at  timestamptz not null,
  kind        text not null check (kind in ('schedule', 'trigger', 'backfill')),
  outcome     text not null check (outcome in ('waiting', 'started', 'refused', 'cancelled')),
  code        text not null default '',
  detail      text not null default '',
  fired_at    timestamptz not null,
  foreign key (tenant_id, schedule_id) references public.schedules (tenant_id, id) on delete cascade
);
create index schedule_firings_of on public.schedule_firings (schedule_id, nominal_at);
create index schedule_firings_age on public.schedule_firings (fired_at);
select lari.isolate_tenants('public.schedule_firings');
