-- The limits of tenants for which the platform says no other: the settings LARI_DEFAULT_*, written by the API process
-- that started last. No row, or null: no limit. A limit of the platform's row in tenant_quotas replaces the default, a
-- tenant's own only narrows it.
create table public.platform_limits (
  singleton           boolean primary key default true check (singleton),
  concurrent_runs     integer check (concurrent_runs >= 0),
  held_runs           integer check (held_runs >= 0),
  runs_per_day        integer check (runs_per_day >= 0),
  requests_per_minute integer check (requests_per_minute >= 1),
  schedules           integer check (schedules >= 0),
  streams             integer check (streams >= 0),
  updated_at          timestamptz not null default now()
);
alter table public.platform_limits enable row level security;
alter table public.platform_limits force row level security;
create policy everyone_reads on public.platform_limits for select to authenticated using ((select lari.readable_tenant('tenant:read')) is not null);
create policy platform_rows on public.platform_limits for all to service_role using (true) with check (true);
revoke all on public.platform_limits from anon, authenticated, service_role, public;
grant select on public.platform_limits to authenticated;
grant select, insert, update, delete on public.platform_limits to service_role;

-- Streams and waits of a tenant that one API process keeps open at a time.
alter table public.tenant_quotas add column streams integer check (streams >= 0);

create or replace function lari.quotas_of(tenant uuid) returns public.tenant_quotas language plpgsql stable as $$
declare
  q public.tenant_quotas;
begin
  select tenant, 'platform', least(coalesce(b.concurrent_runs, f.concurrent_runs), o.concurrent_runs),
    least(coalesce(b.held_runs, f.held_runs), o.held_runs), least(coalesce(b.runs_per_day, f.runs_per_day), o.runs_per_day),
    least(b.tokens_per_month, o.tokens_per_month), least(b.cost_usd_per_month, o.cost_usd_per_month),
    least(coalesce(b.requests_per_minute, f.requests_per_minute), o.requests_per_minute),
    least(coalesce(b.schedules, f.schedules), o.schedules), coalesce(least(b.soft_percent, o.soft_percent), 80),
    coalesce(o.on_exhausted, b.on_exhausted, 'stop'), '', now(), least(coalesce(b.streams, f.streams), o.streams)
  into q
  from (values (true)) always (x)
    left join public.platform_limits f on true
    left join public.tenant_quotas b on b.tenant_id = tenant and b.source = 'platform'
    left join public.tenant_quotas o on o.tenant_id = tenant and o.source = 'tenant';
  return q;
end $$;

-- As before, with the defaults.
create or replace function lari.admit_run(tenant uuid, wanted text, released boolean) returns jsonb language plpgsql volatile as $$
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
      select least(coalesce(b.concurrent_runs, f.concurrent_runs), o.concurrent_runs) as concurrent_runs,
        least(coalesce(b.held_runs, f.held_runs), o.held_runs) as held_runs,
        least(coalesce(b.runs_per_day, f.runs_per_day), o.runs_per_day) as runs_per_day,
        least(b.tokens_per_month, o.tokens_per_month) as tokens_per_month,
        least(b.cost_usd_per_month, o.cost_usd_per_month) as cost_usd_per_month,
        coalesce(least(b.soft_percent, o.soft_percent), 80) as soft_percent
      from (values (true)) always (x)
        left join public.platform_limits f on true
        left join public.tenant_quotas b on b.tenant_id = tenant and b.source = 'platform'
        left join public.tenant_quotas o on o.tenant_id = tenant and o.source = 'tenant') q
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

-- As before, and null also where only the default holds: each API process keeps that by itself, without a lease.
create or replace function lari.lease_requests(
  tenant uuid, wanted integer,
  out per_minute integer, out granted integer, out remaining integer, out burst integer, out every double precision, out next_in double precision
) language plpgsql volatile as $$
declare
  b public.rate_buckets;
  at timestamptz;
  owed double precision; -- requests, of the burst
begin
  select case when said.requests_per_minute is not null or own.requests_per_minute < coalesce(general.requests_per_minute, 2147483647)
    then least(coalesce(said.requests_per_minute, general.requests_per_minute), own.requests_per_minute) end
  into per_minute
  from (values (true)) always (x)
    left join public.platform_limits general on true
    left join public.tenant_quotas said on said.tenant_id = tenant and said.source = 'platform'
    left join public.tenant_quotas own on own.tenant_id = tenant and own.source = 'tenant';
  if per_minute is null then
    return;
  end if;
  -- A crash that forgets the last leases gives at most a burst too much, once.
  perform set_config('synchronous_commit', 'off', true);
  select r.burst, r.every into burst, every from lari.rate_of(per_minute) r;
  insert into public.rate_buckets values (tenant, per_minute, clock_timestamp()) on conflict (tenant_id) do nothing;
  select * into b from public.rate_buckets where tenant_id = tenant for update;
  at := clock_timestamp(); -- after the wait for the lock
  owed := extract(epoch from b.full_at - at) / (select r.every from lari.rate_of(b.per_minute) r);
  owed := least(greatest(owed, 0), burst);
  granted := greatest(least(wanted, floor(burst - owed + 1e-6)::integer), 0);
  owed := owed + granted;
  remaining := greatest(floor(burst - owed + 1e-6)::integer, 0);
  next_in := greatest(owed - burst + 1, 0) * every;
  if granted > 0 or b.per_minute <> lease_requests.per_minute then
    update public.rate_buckets set per_minute = lease_requests.per_minute, full_at = at + make_interval(secs => owed * lease_requests.every)
    where tenant_id = tenant;
  end if;
end $$;
