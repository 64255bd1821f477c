-- A tenant that is suspended begins nothing new; one that is being deleted even less.
alter table public.tenants
  add column status text not null default 'active' check (status in ('active', 'suspended', 'deleting')),
  add column status_reason text not null default '',
  add column status_at timestamptz not null default now(),
  add column updated_at timestamptz not null default now();

-- What a tenant may use; null: no limit. There are two rows at most: the platform's, which only it changes,
-- and the tenant's own. What holds is the smaller of each.
create table public.tenant_quotas (
  tenant_id           uuid not null references public.tenants (id) on delete cascade,
  source              text not null check (source in ('platform', 'tenant')),
  concurrent_runs     integer check (concurrent_runs >= 0),
  held_runs           integer check (held_runs >= 0),
  runs_per_day        integer check (runs_per_day >= 0),
  tokens_per_month    bigint check (tokens_per_month >= 0),
  cost_usd_per_month  numeric(20, 10) check (cost_usd_per_month >= 0),
  requests_per_minute integer check (requests_per_minute >= 1),
  schedules           integer check (schedules >= 0),
  soft_percent        integer check (soft_percent between 1 and 100),
  on_exhausted        text check (on_exhausted in ('stop', 'pause')),
  updated_by          text not null,
  updated_at          timestamptz not null,
  primary key (tenant_id, source)
);
select lari.isolate_tenants('public.tenant_quotas');

-- What a tenant has used of its quotas, by day (runs) and by month (tokens, cost), in UTC. Reserved is what
-- steps under way may use at most.
create table public.quota_usage (
  tenant_id         uuid not null references public.tenants (id) on delete cascade,
  period            text not null check (period in ('day', 'month')),
  starts_on         date not null,
  runs              bigint not null default 0,
  tokens            bigint not null default 0,
  cost_usd          numeric(20, 10) not null default 0,
  reserved_tokens   bigint not null default 0,
  reserved_cost_usd numeric(20, 10) not null default 0,
  primary key (tenant_id, period, starts_on)
) with (fillfactor = 50);
select lari.isolate_tenants('public.quota_usage');

-- Whether runs begin: for one tenant, and for the platform. No row: they do.
create table public.daemon_states (
  tenant_id  uuid primary key references public.tenants (id) on delete cascade,
  state      text not null check (state in ('running', 'paused', 'draining')),
  new_runs   text not null default 'refuse' check (new_runs in ('refuse', 'hold')),
  reason     text not null default '',
  changed_by text not null,
  changed_at timestamptz not null
);
select lari.isolate_tenants('public.daemon_states');

create table public.platform_state (
  singleton  boolean primary key default true check (singleton),
  state      text not null check (state in ('running', 'paused', 'draining')),
  new_runs   text not null default 'refuse' check (new_runs in ('refuse', 'hold')),
  reason     text not null default '',
  changed_by text not null,
  changed_at timestamptz not null
);
alter table public.platform_state enable row level security;
alter table public.platform_state force row level security;
create policy everyone_reads on public.platform_state for select to authenticated using (true);
create policy platform_rows on public.platform_state for all to service_role using (true) with check (true);
revoke all on public.platform_state from anon, authenticated, service_role, public;
grant select on public.platform_state to authenticated;
grant select, insert, update, delete on public.platform_state to service_role;

-- A held run is queued and not to be started yet: its time has not come, its thread is busy, its tenant or the
-- platform is paused, or its tenant has as many runs as it may. It takes no slot and is in no workflow.
alter table public.agent_runs
  add column held_by text check (held_by in ('delay', 'thread', 'pause', 'quota')),
  add column held_at timestamptz,
  add column due_at timestamptz,
  add column on_busy text not null default 'reject' check (on_busy in ('reject', 'enqueue', 'interrupt', 'rollback')),
  add column rolled_back boolean not null default false,
  add column retry_of uuid,
  add column forked_from uuid,
  add column forked_step integer,
  add constraint agent_runs_held check (held_by is null or status in ('queued', 'failed', 'cancelled', 'timed_out'));

drop index public.agent_runs_thread_busy;
create unique index agent_runs_thread_busy on public.agent_runs (tenant_id, thread_id)
  where status in ('queued', 'running', 'waiting') and held_by is null;
create index agent_runs_thread_held on public.agent_runs (tenant_id, thread_id, id)
  where status = 'queued' and held_by is not null and thread_id is not null;
drop index public.agent_runs_undispatched;
create index agent_runs_undispatched on public.agent_runs (created_at)
  where status = 'queued' and dispatched_at is null and held_by is null;
create index agent_runs_held_due on public.agent_runs (due_at, id) where status = 'queued' and held_by is not null;
-- Who counts against a tenant's quotas.
create index agent_runs_slots on public.agent_runs (tenant_id)
  where status in ('queued', 'running', 'waiting') and held_by is null;
create index agent_runs_held_count on public.agent_runs (tenant_id, id) where status = 'queued' and held_by is not null;

-- The quotas that hold for a tenant. (In plpgsql, which keeps its plans.)
create function lari.quotas_of(tenant uuid) returns public.tenant_quotas language plpgsql stable as $$
declare
  q public.tenant_quotas;
begin
  select tenant, 'platform', min(concurrent_runs), min(held_runs), min(runs_per_day), min(tokens_per_month),
    min(cost_usd_per_month), min(requests_per_minute), min(schedules), coalesce(min(soft_percent), 80),
    coalesce(max(on_exhausted) filter (where source = 'tenant'), max(on_exhausted), 'stop'), '', now()
  into q from public.tenant_quotas o where o.tenant_id = tenant;
  return q;
end $$;

-- Decides whether a run may begin now, and counts it: called in the statement that inserts the run, so that
-- the decision and the run are one. The answer has hold (null: it begins; else why it is held), or refused, an
-- object that names what stands against it, and warnings, the quotas that are nearly used up. wanted is the
-- hold that the run asks for itself. A run that is released was counted when it was accepted, and is held on
-- instead of refused.
create function lari.admit_run(tenant uuid, wanted text, released boolean) returns jsonb language plpgsql volatile as $$
declare
  s record;
  today constant date := (now() at time zone 'UTC')::date;
  month constant date := date_trunc('month', now() at time zone 'UTC')::date;
  day_end constant text := to_char(today + 1, 'YYYY-MM-DD"T00:00:00.000Z"');
  month_end constant text := to_char(month + interval '1 month', 'YYYY-MM-DD"T00:00:00.000Z"');
  used bigint;
  exhausted jsonb;
  hold text := wanted;
  warnings jsonb := '[]';
begin
  -- All that is asked in one statement: every run pays for it.
  select t.status, t.status_reason,
    coalesce(p.state, 'running') as platform_state, p.new_runs as platform_new, p.reason as platform_reason,
    coalesce(d.state, 'running') as daemon_state, d.new_runs as daemon_new, d.reason as daemon_reason,
    q.concurrent_runs, q.held_runs, q.runs_per_day, q.tokens_per_month, q.cost_usd_per_month, q.soft_percent,
    coalesce(m.tokens, 0) as tokens, coalesce(m.reserved_tokens, 0) as reserved_tokens, coalesce(m.cost_usd, 0) as cost_usd,
    coalesce(m.reserved_cost_usd, 0) as reserved_cost_usd
  into s
  from public.tenants t
    left join public.platform_state p on true
    left join public.daemon_states d on d.tenant_id = tenant
    left join public.quota_usage m on m.tenant_id = tenant and m.period = 'month' and m.starts_on = month
    cross join lateral (
      select min(concurrent_runs) as concurrent_runs, min(held_runs) as held_runs, min(runs_per_day) as runs_per_day,
        min(tokens_per_month) as tokens_per_month, min(cost_usd_per_month) as cost_usd_per_month, coalesce(min(soft_percent), 80) as soft_percent
      from public.tenant_quotas where tenant_id = tenant) q
  where t.id = tenant;
  if not found then
    return jsonb_build_object('refused', jsonb_build_object('by', 'no_tenant'));
  end if;
  if s.status <> 'active' then
    return case when released then jsonb_build_object('hold', 'pause')
      else jsonb_build_object('refused', jsonb_build_object('by', s.status, 'reason', s.status_reason)) end;
  end if;
  if s.platform_state <> 'running' and not released and (s.platform_state = 'draining' or s.platform_new = 'refuse') then
    return jsonb_build_object('refused', jsonb_build_object('by', s.platform_state, 'scope', 'platform', 'reason', s.platform_reason));
  elsif s.daemon_state <> 'running' and not released and (s.daemon_state = 'draining' or s.daemon_new = 'refuse') then
    return jsonb_build_object('refused', jsonb_build_object('by', s.daemon_state, 'scope', 'tenant', 'reason', s.daemon_reason));
  elsif s.platform_state <> 'running' or s.daemon_state <> 'running' then
    hold := coalesce(hold, 'pause');
  end if;
  if s.concurrent_runs is not null or s.held_runs is not null then
    -- Whoever counts holds the lock until the run that it counted can be counted by the next.
    perform pg_advisory_xact_lock(hashtextextended('lari.admit_run:' || tenant, 0));
  end if;
  if hold is null and s.concurrent_runs is not null then
    select count(*) into used from (
      select from public.agent_runs where tenant_id = tenant and status in ('queued', 'running', 'waiting') and held_by is null
      limit s.concurrent_runs) active;
    if used >= s.concurrent_runs then
      exhausted := jsonb_build_object('quota', 'concurrent_runs', 'limit', s.concurrent_runs, 'used', used);
    elsif (used + 1) * 100 >= s.concurrent_runs::bigint * s.soft_percent then
      warnings := warnings || jsonb_build_object('quota', 'concurrent_runs', 'limit', s.concurrent_runs, 'used', used + 1);
    end if;
  elsif hold is not null and not released and s.held_runs is not null then
    select count(*) into used from (
      select from public.agent_runs where tenant_id = tenant and status = 'queued' and held_by is not null limit s.held_runs) held;
    if used >= s.held_runs then
      exhausted := jsonb_build_object('quota', 'held_runs', 'limit', s.held_runs, 'used', used);
    end if;
  end if;
  if s.tokens + s.reserved_tokens >= s.tokens_per_month then
    exhausted := jsonb_build_object('quota', 'tokens_per_month', 'limit', s.tokens_per_month, 'used', s.tokens, 'reserved', s.reserved_tokens, 'frees_at', month_end);
  elsif s.tokens * 100 >= s.tokens_per_month * s.soft_percent then
    warnings := warnings || jsonb_build_object('quota', 'tokens_per_month', 'limit', s.tokens_per_month, 'used', s.tokens, 'frees_at', month_end);
  end if;
  if s.cost_usd + s.reserved_cost_usd >= s.cost_usd_per_month then
    exhausted := jsonb_build_object('quota', 'cost_usd_per_month', 'limit', s.cost_usd_per_month, 'used', s.cost_usd, 'reserved', s.reserved_cost_usd, 'frees_at', month_end);
  elsif s.cost_usd * 100 >= s.cost_usd_per_month * s.soft_percent then
    warnings := warnings || jsonb_build_object('quota', 'cost_usd_per_month', 'limit', s.cost_usd_per_month, 'used', s.cost_usd, 'frees_at', month_end);
  end if;
  if released then
    return jsonb_build_object('hold', case when exhausted is not null then coalesce(hold, 'quota') else hold end, 'warnings', warnings);
  end if;
  if exhausted is null then
    insert into public.quota_usage as u (tenant_id, period, starts_on, runs) select tenant, 'day', today, 1 where coalesce(s.runs_per_day, 1) > 0
      on conflict (tenant_id, period, starts_on) do update set runs = u.runs + 1 where s.runs_per_day is null or u.runs < s.runs_per_day
      returning runs into used;
    if not found then
      exhausted := jsonb_build_object('quota', 'runs_per_day', 'limit', s.runs_per_day, 'used', s.runs_per_day, 'frees_at', day_end);
    elsif used * 100 >= s.runs_per_day::bigint * s.soft_percent then
      warnings := warnings || jsonb_build_object('quota', 'runs_per_day', 'limit', s.runs_per_day, 'used', used, 'frees_at', day_end);
    end if;
  end if;
  if exhausted is not null then
    return jsonb_build_object('refused', exhausted || '{"by": "quota"}');
  end if;
  return jsonb_build_object('hold', hold, 'warnings', warnings);
end $$;
revoke execute on function lari.quotas_of(uuid), lari.admit_run(uuid, text, boolean) from public;
grant execute on function lari.quotas_of(uuid), lari.admit_run(uuid, text, boolean) to authenticated, service_role;
