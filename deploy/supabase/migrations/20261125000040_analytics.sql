-- What happened, for sums over time: facts, each written once with the record that it speaks of, and rollups of
-- them by quarters of an hour, which every zone's days and hours begin with, and by three hours and days of UTC, so
-- that a long span has few of them. See docs/adr/0016.

-- The cell that a time falls into, by its beginning. A grain is the length of a cell in minutes.
create function lari.cell_of(at timestamptz, grain integer) returns timestamptz language sql immutable parallel safe as
  $$ select date_bin(grain * interval '1 minute', at, '2000-01-01 00:00:00+00') $$;

-- The time between two others in whole milliseconds; clocks of processes differ, so it may come out below zero.
create function lari.ms_between(since timestamptz, till timestamptz) returns bigint language sql immutable parallel safe as
  $$ select greatest(round(extract(epoch from till - since) * 1000), 0)::bigint $$;

-- The bucket of a time in milliseconds: 0 below 16 ms, then one for each doubling, 23 from 18.6 hours on.
create function lari.latency_bucket(ms bigint) returns integer language sql immutable parallel safe as
  $$ select width_bucket(ms, '{16,32,64,128,256,512,1024,2048,4096,8192,16384,32768,65536,131072,262144,524288,1048576,2097152,4194304,8388608,16777216,33554432,67108864}'::bigint[]) $$;

-- Facts that no rollup holds yet: a step that was recorded, a run that ended ('run', which says when it was created
-- and started too), or one part of what an ended run says. Each is named by its run, kind and step. Nothing refers to
-- tenants here: that check would cost each step more than the fact, and the roller drops what has no tenant.
create table public.analytics_pending (
  tenant_id     uuid not null,
  run_id        uuid not null,
  kind          text not null check (kind in ('step', 'run', 'created', 'started', 'ended')),
  step          integer not null,
  at            timestamptz not null,
  agent_id      uuid not null,
  workspace_id  uuid not null,
  model         text not null,
  input_tokens  bigint not null,
  output_tokens bigint not null,
  cost_usd      numeric(20, 10) not null,
  estimated     boolean not null,
  status        text,
  error_code    text,
  created_at    timestamptz,
  started_at    timestamptz,
  primary key (tenant_id, run_id, kind, step)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = -1,
  autovacuum_vacuum_cost_delay = 0);
select lari.isolate_tenants('public.analytics_pending');

-- The nil UUID stands for no workspace: a key has no nulls.
create table public.analytics_usage (
  tenant_id       uuid not null references public.tenants (id) on delete cascade,
  grain           smallint not null check (grain in (15, 180, 1440)),
  at              timestamptz not null,
  agent_id        uuid not null,
  workspace_id    uuid not null,
  model           text not null,
  steps           bigint not null,
  estimated_steps bigint not null,
  input_tokens    bigint not null,
  output_tokens   bigint not null,
  cost_usd        numeric not null,
  primary key (tenant_id, grain, at, agent_id, workspace_id, model)
) with (fillfactor = 80);
-- The platform's own view reads a span across tenants.
create index analytics_usage_by_time on public.analytics_usage (grain, at);
select lari.isolate_tenants('public.analytics_usage');

-- error_code is empty but for runs that failed with one.
create table public.analytics_runs (
  tenant_id    uuid not null references public.tenants (id) on delete cascade,
  grain        smallint not null check (grain in (15, 180, 1440)),
  at           timestamptz not null,
  agent_id     uuid not null,
  workspace_id uuid not null,
  error_code   text not null,
  created      bigint not null,
  started      bigint not null,
  completed    bigint not null,
  failed       bigint not null,
  cancelled    bigint not null,
  timed_out    bigint not null,
  primary key (tenant_id, grain, at, agent_id, workspace_id, error_code)
) with (fillfactor = 80);
select lari.isolate_tenants('public.analytics_runs');

-- Histograms of how long runs waited to start and ran. null: none in the bucket.
create table public.analytics_latency (
  tenant_id    uuid not null references public.tenants (id) on delete cascade,
  grain        smallint not null check (grain in (15, 180, 1440)),
  at           timestamptz not null,
  measure      text not null check (measure in ('queue_wait', 'duration')),
  agent_id     uuid not null,
  workspace_id uuid not null,
  n            bigint not null,
  sum_ms       bigint not null,
  max_ms       bigint not null,
  b00 integer, b01 integer, b02 integer, b03 integer, b04 integer, b05 integer, b06 integer, b07 integer,
  b08 integer, b09 integer, b10 integer, b11 integer, b12 integer, b13 integer, b14 integer, b15 integer,
  b16 integer, b17 integer, b18 integer, b19 integer, b20 integer, b21 integer, b22 integer, b23 integer,
  primary key (tenant_id, grain, at, measure, agent_id, workspace_id)
) with (fillfactor = 80);
select lari.isolate_tenants('public.analytics_latency');

-- Questions that a tenant asks again and again.
create table public.analytics_reports (
  id         uuid primary key,
  tenant_id  uuid not null references public.tenants (id) on delete cascade,
  name       text not null,
  kind       text not null check (kind in ('usage', 'runs', 'latency')),
  query      jsonb not null,
  created_by text not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint analytics_reports_name unique (tenant_id, name)
);
create index analytics_reports_list on public.analytics_reports (tenant_id, id desc);
select lari.isolate_tenants('public.analytics_reports');

-- Facts are recorded in the transaction of what they speak of. Whatever is recorded twice is one row there, and so one
-- fact: a step that exists is not inserted again, and a run ends once. A step that a fork took over from another run
-- was paid for there. What a run used beyond its steps (one that was stopped half-way) is counted with its end.
create function lari.record_step() returns trigger language plpgsql as $$
begin
  insert into public.analytics_pending
  select new.tenant_id, new.run_id, 'step', new.step, new.finished_at, r.agent_id, coalesce(r.workspace_id, '00000000-0000-0000-0000-000000000000'),
    new.model, new.input_tokens, new.output_tokens, new.cost_usd, new.estimated
  from public.agent_runs r where r.id = new.run_id and new.step > coalesce(r.forked_step, 0)
  on conflict do nothing;
  return null;
end $$;
create trigger record_step after insert on public.run_steps for each row execute function lari.record_step();

create function lari.record_run() returns trigger language plpgsql as $$
begin
  insert into public.analytics_pending
  select new.tenant_id, new.id, 'run', 0, new.finished_at, new.agent_id, coalesce(new.workspace_id, '00000000-0000-0000-0000-000000000000'),
    coalesce(max(s.model), ''), new.input_tokens - coalesce(sum(s.input_tokens), 0), new.output_tokens - coalesce(sum(s.output_tokens), 0),
    new.cost_usd - coalesce(sum(s.cost_usd), 0), new.usage_estimated, new.status, coalesce(new.error ->> 'code', ''), new.created_at, new.started_at
  from public.run_steps s where s.run_id = new.id and s.step > coalesce(new.forked_step, 0)
  on conflict do nothing;
  return null;
end $$;
create trigger record_inserted_run after insert on public.agent_runs for each row
  when (new.finished_at is not null) execute function lari.record_run();
create trigger record_run after update on public.agent_runs for each row
  when (old.finished_at is null and new.finished_at is not null) execute function lari.record_run();

-- The same facts, of the steps and ended runs that there are.
create view lari.analytics_facts with (security_invoker = true) as
  select s.tenant_id, s.run_id, 'step' as kind, s.step, s.finished_at as at, r.agent_id, coalesce(r.workspace_id, '00000000-0000-0000-0000-000000000000') as workspace_id,
    s.model, s.input_tokens, s.output_tokens, s.cost_usd, s.estimated, null as status, null as error_code,
    null::timestamptz as created_at, null::timestamptz as started_at
  from public.run_steps s join public.agent_runs r on r.id = s.run_id and r.tenant_id = s.tenant_id
  where s.step > coalesce(r.forked_step, 0)
  union all
  select r.tenant_id, r.id, p.kind, 0, p.at, r.agent_id, coalesce(r.workspace_id, '00000000-0000-0000-0000-000000000000'), coalesce(s.model, ''),
    r.input_tokens - coalesce(s.input_tokens, 0), r.output_tokens - coalesce(s.output_tokens, 0), r.cost_usd - coalesce(s.cost_usd, 0),
    r.usage_estimated, r.status, coalesce(r.error ->> 'code', ''), r.created_at, r.started_at
  from public.agent_runs r
  cross join lateral (values ('created', r.created_at), ('started', r.started_at), ('ended', r.finished_at)) as p (kind, at)
  cross join lateral (
    select sum(s.input_tokens) as input_tokens, sum(s.output_tokens) as output_tokens, sum(s.cost_usd) as cost_usd, max(s.model) as model
    from public.run_steps s where s.run_id = r.id and s.step > coalesce(r.forked_step, 0)) s
  where r.finished_at is not null and p.at is not null;

-- What pending facts say, in the form of the rollups but with the time of each; spot is where the fact lies.
create view lari.usage_facts with (security_invoker = true) as
  select tenant_id, at, agent_id, workspace_id, model, (kind = 'step')::int::bigint as steps,
    (kind = 'step' and estimated)::int::bigint as estimated_steps, input_tokens, output_tokens, cost_usd, ctid as spot
  from public.analytics_pending
  where kind = 'step' or kind in ('run', 'ended') and (input_tokens <> 0 or output_tokens <> 0 or cost_usd <> 0);

create view lari.run_facts with (security_invoker = true) as
  select p.tenant_id, part.at, p.agent_id, p.workspace_id, case part.kind when 'ended' then p.error_code else '' end as error_code,
    (part.kind = 'created')::int::bigint as created, (part.kind = 'started')::int::bigint as started,
    (part.kind = 'ended' and p.status = 'completed')::int::bigint as completed, (part.kind = 'ended' and p.status = 'failed')::int::bigint as failed,
    (part.kind = 'ended' and p.status = 'cancelled')::int::bigint as cancelled, (part.kind = 'ended' and p.status = 'timed_out')::int::bigint as timed_out,
    p.ctid as spot
  from public.analytics_pending p
  cross join lateral (values ('created', p.created_at), ('started', p.started_at), ('ended', p.at)) as part (kind, at)
  where p.kind in ('run', part.kind) and part.at is not null;

create view lari.latency_facts with (security_invoker = true) as
  select p.tenant_id, part.at, part.measure, p.agent_id, p.workspace_id, 1::bigint as n, part.ms as sum_ms, part.ms as max_ms,
    case lari.latency_bucket(part.ms) when 0 then 1 end as b00, case lari.latency_bucket(part.ms) when 1 then 1 end as b01,
    case lari.latency_bucket(part.ms) when 2 then 1 end as b02, case lari.latency_bucket(part.ms) when 3 then 1 end as b03,
    case lari.latency_bucket(part.ms) when 4 then 1 end as b04, case lari.latency_bucket(part.ms) when 5 then 1 end as b05,
    case lari.latency_bucket(part.ms) when 6 then 1 end as b06, case lari.latency_bucket(part.ms) when 7 then 1 end as b07,
    case lari.latency_bucket(part.ms) when 8 then 1 end as b08, case lari.latency_bucket(part.ms) when 9 then 1 end as b09,
    case lari.latency_bucket(part.ms) when 10 then 1 end as b10, case lari.latency_bucket(part.ms) when 11 then 1 end as b11,
    case lari.latency_bucket(part.ms) when 12 then 1 end as b12, case lari.latency_bucket(part.ms) when 13 then 1 end as b13,
    case lari.latency_bucket(part.ms) when 14 then 1 end as b14, case lari.latency_bucket(part.ms) when 15 then 1 end as b15,
    case lari.latency_bucket(part.ms) when 16 then 1 end as b16, case lari.latency_bucket(part.ms) when 17 then 1 end as b17,
    case lari.latency_bucket(part.ms) when 18 then 1 end as b18, case lari.latency_bucket(part.ms) when 19 then 1 end as b19,
    case lari.latency_bucket(part.ms) when 20 then 1 end as b20, case lari.latency_bucket(part.ms) when 21 then 1 end as b21,
    case lari.latency_bucket(part.ms) when 22 then 1 end as b22, case lari.latency_bucket(part.ms) when 23 then 1 end as b23,
    p.ctid as spot
  from public.analytics_pending p
  cross join lateral (values ('started', 'queue_wait', p.started_at, lari.ms_between(p.created_at, p.started_at)),
    ('ended', 'duration', p.at, lari.ms_between(p.started_at, p.at))) as part (kind, measure, at, ms)
  where p.kind in ('run', part.kind) and p.started_at is not null;

-- What readers add to the rollups: facts that are not in them yet, and the runs that have not ended. One statement
-- sees each in one of these.
create view lari.fresh_runs with (security_invoker = true) as
  select tenant_id, at, agent_id, workspace_id, error_code, created, started, completed, failed, cancelled, timed_out from lari.run_facts
  union all
  select r.tenant_id, part.at, r.agent_id, coalesce(r.workspace_id, '00000000-0000-0000-0000-000000000000'), '', (part.kind = 'created')::int, (part.kind = 'started')::int, 0, 0, 0, 0
  from public.agent_runs r
  cross join lateral (values ('created', r.created_at), ('started', r.started_at)) as part (kind, at)
  where r.status in ('queued', 'running', 'waiting') and part.at is not null;

create view lari.fresh_latency with (security_invoker = true) as
  select tenant_id, at, measure, agent_id, workspace_id, n, sum_ms, max_ms,
    b00, b01, b02, b03, b04, b05, b06, b07,
    b08, b09, b10, b11, b12, b13, b14, b15,
    b16, b17, b18, b19, b20, b21, b22, b23 from lari.latency_facts
  union all
  select r.tenant_id, r.started_at, 'queue_wait', r.agent_id, coalesce(r.workspace_id, '00000000-0000-0000-0000-000000000000'), 1, w.ms, w.ms,
    case lari.latency_bucket(w.ms) when 0 then 1 end, case lari.latency_bucket(w.ms) when 1 then 1 end, case lari.latency_bucket(w.ms) when 2 then 1 end,
    case lari.latency_bucket(w.ms) when 3 then 1 end, case lari.latency_bucket(w.ms) when 4 then 1 end, case lari.latency_bucket(w.ms) when 5 then 1 end,
    case lari.latency_bucket(w.ms) when 6 then 1 end, case lari.latency_bucket(w.ms) when 7 then 1 end, case lari.latency_bucket(w.ms) when 8 then 1 end,
    case lari.latency_bucket(w.ms) when 9 then 1 end, case lari.latency_bucket(w.ms) when 10 then 1 end, case lari.latency_bucket(w.ms) when 11 then 1 end,
    case lari.latency_bucket(w.ms) when 12 then 1 end, case lari.latency_bucket(w.ms) when 13 then 1 end, case lari.latency_bucket(w.ms) when 14 then 1 end,
    case lari.latency_bucket(w.ms) when 15 then 1 end, case lari.latency_bucket(w.ms) when 16 then 1 end, case lari.latency_bucket(w.ms) when 17 then 1 end,
    case lari.latency_bucket(w.ms) when 18 then 1 end, case lari.latency_bucket(w.ms) when 19 then 1 end, case lari.latency_bucket(w.ms) when 20 then 1 end,
    case lari.latency_bucket(w.ms) when 21 then 1 end, case lari.latency_bucket(w.ms) when 22 then 1 end, case lari.latency_bucket(w.ms) when 23 then 1 end
  from public.agent_runs r cross join lateral (values (lari.ms_between(r.created_at, r.started_at))) as w (ms)
  where r.status in ('queued', 'running', 'waiting') and r.started_at is not null;

-- Whoever changes rollups holds this lock until its transaction ends: one at a time, across processes.
create function lari.analytics_lock() returns bigint language sql immutable as $$ select 7813577 $$;

-- Adds the facts of some pages to the rollups and removes them, which is one statement: a fact is in one of the two
-- at any time, whatever dies when. Gives how many facts that were; 0 when there are none or another roller is at it.
create function lari.roll_analytics(pages integer) returns bigint language plpgsql volatile as $$
declare
  first tid;
  low tid;
  high tid;
  rolled bigint;
begin
  if not pg_try_advisory_xact_lock(lari.analytics_lock()) then
    return 0;
  end if;
  select ctid into first from public.analytics_pending limit 1;
  if not found then
    return 0;
  end if;
  low := format('(%s,0)', (first::text::point)[0]::bigint);
  high := format('(%s,0)', (first::text::point)[0]::bigint + pages);
  with usage as (
    insert into public.analytics_usage as u
    select f.tenant_id, g.grain, lari.cell_of(f.at, g.grain), f.agent_id, f.workspace_id, f.model, sum(f.steps), sum(f.estimated_steps),
      sum(f.input_tokens), sum(f.output_tokens), sum(f.cost_usd)
    from lari.usage_facts f join public.tenants t on t.id = f.tenant_id cross join unnest(array[15, 180, 1440]) as g (grain)
    where f.spot >= low and f.spot < high group by 1, 2, 3, 4, 5, 6
    on conflict (tenant_id, grain, at, agent_id, workspace_id, model) do update set
      steps = u.steps + excluded.steps, estimated_steps = u.estimated_steps + excluded.estimated_steps,
      input_tokens = u.input_tokens + excluded.input_tokens, output_tokens = u.output_tokens + excluded.output_tokens,
      cost_usd = u.cost_usd + excluded.cost_usd),
  runs as (
    insert into public.analytics_runs as r
    select f.tenant_id, g.grain, lari.cell_of(f.at, g.grain), f.agent_id, f.workspace_id, f.error_code, sum(f.created), sum(f.started),
      sum(f.completed), sum(f.failed), sum(f.cancelled), sum(f.timed_out)
    from lari.run_facts f join public.tenants t on t.id = f.tenant_id cross join unnest(array[15, 180, 1440]) as g (grain)
    where f.spot >= low and f.spot < high group by 1, 2, 3, 4, 5, 6
    on conflict (tenant_id, grain, at, agent_id, workspace_id, error_code) do update set
      created = r.created + excluded.created, started = r.started + excluded.started, completed = r.completed + excluded.completed,
      failed = r.failed + excluded.failed, cancelled = r.cancelled + excluded.cancelled, timed_out = r.timed_out + excluded.timed_out),
  latency as (
    insert into public.analytics_latency as l
    select f.tenant_id, g.grain, lari.cell_of(f.at, g.grain), f.measure, f.agent_id, f.workspace_id, sum(f.n), sum(f.sum_ms), max(f.max_ms),
      sum(f.b00), sum(f.b01), sum(f.b02), sum(f.b03), sum(f.b04), sum(f.b05), sum(f.b06), sum(f.b07),
      sum(f.b08), sum(f.b09), sum(f.b10), sum(f.b11), sum(f.b12), sum(f.b13), sum(f.b14), sum(f.b15),
      sum(f.b16), sum(f.b17), sum(f.b18), sum(f.b19), sum(f.b20), sum(f.b21), sum(f.b22), sum(f.b23)
    from lari.latency_facts f join public.tenants t on t.id = f.tenant_id cross join unnest(array[15, 180, 1440]) as g (grain)
    where f.spot >= low and f.spot < high group by 1, 2, 3, 4, 5, 6
    on conflict (tenant_id, grain, at, measure, agent_id, workspace_id) do update set
      n = l.n + excluded.n, sum_ms = l.sum_ms + excluded.sum_ms, max_ms = greatest(l.max_ms, excluded.max_ms),
      b00 = nullif(coalesce(l.b00, 0) + coalesce(excluded.b00, 0), 0), b01 = nullif(coalesce(l.b01, 0) + coalesce(excluded.b01, 0), 0),
      b02 = nullif(coalesce(l.b02, 0) + coalesce(excluded.b02, 0), 0), b03 = nullif(coalesce(l.b03, 0) + coalesce(excluded.b03, 0), 0),
      b04 = nullif(coalesce(l.b04, 0) + coalesce(excluded.b04, 0), 0), b05 = nullif(coalesce(l.b05, 0) + coalesce(excluded.b05, 0), 0),
      b06 = nullif(coalesce(l.b06, 0) + coalesce(excluded.b06, 0), 0), b07 = nullif(coalesce(l.b07, 0) + coalesce(excluded.b07, 0), 0),
      b08 = nullif(coalesce(l.b08, 0) + coalesce(excluded.b08, 0), 0), b09 = nullif(coalesce(l.b09, 0) + coalesce(excluded.b09, 0), 0),
      b10 = nullif(coalesce(l.b10, 0) + coalesce(excluded.b10, 0), 0), b11 = nullif(coalesce(l.b11, 0) + coalesce(excluded.b11, 0), 0),
      b12 = nullif(coalesce(l.b12, 0) + coalesce(excluded.b12, 0), 0), b13 = nullif(coalesce(l.b13, 0) + coalesce(excluded.b13, 0), 0),
      b14 = nullif(coalesce(l.b14, 0) + coalesce(excluded.b14, 0), 0), b15 = nullif(coalesce(l.b15, 0) + coalesce(excluded.b15, 0), 0),
      b16 = nullif(coalesce(l.b16, 0) + coalesce(excluded.b16, 0), 0), b17 = nullif(coalesce(l.b17, 0) + coalesce(excluded.b17, 0), 0),
      b18 = nullif(coalesce(l.b18, 0) + coalesce(excluded.b18, 0), 0), b19 = nullif(coalesce(l.b19, 0) + coalesce(excluded.b19, 0), 0),
      b20 = nullif(coalesce(l.b20, 0) + coalesce(excluded.b20, 0), 0), b21 = nullif(coalesce(l.b21, 0) + coalesce(excluded.b21, 0), 0),
      b22 = nullif(coalesce(l.b22, 0) + coalesce(excluded.b22, 0), 0), b23 = nullif(coalesce(l.b23, 0) + coalesce(excluded.b23, 0), 0)),
  gone as (
    delete from public.analytics_pending where ctid >= low and ctid < high returning 1)
  select count(*) into rolled from gone;
  return rolled;
end $$;

-- Forgets what the rollups hold of a tenant between two days of UTC and makes the facts of that time pending again, from
-- which the rollups are made anew; readers notice nothing. What runs said that are gone is forgotten for good. Gives
-- how many facts that were.
create function lari.rebuild_analytics(tenant uuid, low timestamptz, high timestamptz) returns bigint language plpgsql volatile as $$
declare
  made bigint;
begin
  perform pg_advisory_xact_lock(lari.analytics_lock());
  with usage as (
    delete from public.analytics_usage where tenant_id = tenant and at >= low and at < high),
  runs as (
    delete from public.analytics_runs where tenant_id = tenant and at >= low and at < high),
  latency as (
    delete from public.analytics_latency where tenant_id = tenant and at >= low and at < high)
  -- Clocks of processes differ: a step may be a little later than the end of its run.
  insert into public.analytics_pending select f.* from lari.analytics_facts f
  where f.tenant_id = tenant and f.at >= low and f.at < high and f.run_id in (
      select id from public.agent_runs where tenant_id = tenant and created_at < high + interval '1 hour'
        and (finished_at is null or finished_at >= low - interval '1 hour'))
    and not (f.kind <> 'step' and exists (
      select from public.analytics_pending p where p.tenant_id = f.tenant_id and p.run_id = f.run_id and p.kind = 'run'))
  on conflict do nothing;
  get diagnostics made = row_count;
  return made;
end $$;

revoke execute on function lari.roll_analytics(integer), lari.rebuild_analytics(uuid, timestamptz, timestamptz) from public;
grant execute on function lari.roll_analytics(integer) to service_role;
grant execute on function lari.rebuild_analytics(uuid, timestamptz, timestamptz) to authenticated, service_role;
grant select on lari.analytics_facts, lari.usage_facts, lari.run_facts, lari.latency_facts, lari.fresh_runs, lari.fresh_latency
  to authenticated, service_role;

-- Runs that were there before: their facts are rolled up by the first process of this version.
insert into public.analytics_pending select * from lari.analytics_facts;
