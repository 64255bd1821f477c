-- What was last seen of a schedule in Temporal, which alone knows whether it is paused and which firings did not come
-- about: so that each of those is counted once, by one process. -1: it is not known how many had been counted.
alter table public.schedules
  add column seen_state   text not null default 'active' check (seen_state in ('active', 'paused', 'ended', 'missing')),
  add column seen_skipped bigint not null default 0,
  add column seen_missed  bigint not null default 0,
  add column seen_at      timestamptz not null default '-infinity';
update public.schedules set seen_skipped = -1, seen_missed = -1;
create index schedules_seen on public.schedules (seen_at) where state = 'active';
