-- What a step that is under way may use at most. The sums are in quota_usage.reserved_*. Whoever adds or removes
-- a row holds the run's row first and then that of the month.
create table public.quota_reservations (
  tenant_id     uuid not null,
  run_id        uuid not null,
  step          integer not null check (step >= 1),
  month         date not null,
  input_tokens  bigint not null,
  output_tokens bigint not null,
  cost_usd      numeric(20, 10) not null,
  reserved_at   timestamptz not null default now(),
  primary key (run_id, step),
  foreign key (tenant_id, run_id) references public.agent_runs (tenant_id, id) on delete cascade
);
select lari.isolate_tenants('public.quota_reservations');

-- Reserves what a step may use at most, or as much of the output as there is room for, if that is not less than
-- least_output. The answer has output, the tokens that the model may write; or refused, the quota that has no
-- room and what is to become of the run; or ended for a run that has. An empty one: nothing is limited. A step
-- that has its reservation keeps it.
create function lari.reserve_usage(
  tenant uuid, run uuid, of_step integer, input bigint, output bigint, least_output bigint, input_cost numeric, output_price numeric
) returns jsonb language plpgsql volatile as $$
declare
  q constant public.tenant_quotas := lari.quotas_of(tenant);
  this_month constant date := date_trunc('month', now() at time zone 'UTC')::date;
  month_end constant text := to_char(this_month + interval '1 month', 'YYYY-MM-DD"T00:00:00.000Z"');
  u public.quota_usage;
  r public.quota_reservations;
  fits bigint := output;
  left_usd numeric;
  cost numeric(20, 10);
begin
  if q.tokens_per_month is null and q.cost_usd_per_month is null then
    return '{}';
  end if;
  perform from public.agent_runs where id = run and status in ('queued', 'running', 'waiting') for share;
  if not found then
    return '{"ended": true}';
  end if;
  insert into public.quota_usage (tenant_id, period, starts_on) values (tenant, 'month', this_month)
    on conflict (tenant_id, period, starts_on) do nothing;
  select * into u from public.quota_usage where tenant_id = tenant and period = 'month' and starts_on = this_month for update;
  select * into r from public.quota_reservations where run_id = run and step = of_step;
  if found then
    return jsonb_build_object('output', r.output_tokens);
  end if;
  if q.tokens_per_month is not null then
    fits := least(fits, q.tokens_per_month - u.tokens - u.reserved_tokens - input);
    if fits < least_output then
      return jsonb_build_object('refused', jsonb_build_object('quota', 'tokens_per_month', 'limit', q.tokens_per_month,
        'used', u.tokens, 'reserved', u.reserved_tokens, 'frees_at', month_end), 'on_exhausted', q.on_exhausted);
    end if;
  end if;
  if q.cost_usd_per_month is not null then
    left_usd := q.cost_usd_per_month - u.cost_usd - u.reserved_cost_usd - input_cost;
    if output_price > 0 and left_usd >= 0 then
      fits := least(fits, floor(least(left_usd / output_price, output))::bigint);
    end if;
    if fits < least_output or left_usd < 0 then
      return jsonb_build_object('refused', jsonb_build_object('quota', 'cost_usd_per_month', 'limit', trim_scale(q.cost_usd_per_month),
        'used', trim_scale(u.cost_usd), 'reserved', trim_scale(u.reserved_cost_usd), 'frees_at', month_end), 'on_exhausted', q.on_exhausted);
    end if;
  end if;
  cost := input_cost + fits * output_price;
  insert into public.quota_reservations (tenant_id, run_id, step, month, input_tokens, output_tokens, cost_usd)
    values (tenant, run, of_step, this_month, input, fits, cost);
  update public.quota_usage set reserved_tokens = reserved_tokens + input + fits, reserved_cost_usd = reserved_cost_usd + cost
    where tenant_id = tenant and period = 'month' and starts_on = this_month;
  return jsonb_build_object('output', fits);
end $$;

-- Counts what a step used in the month that is now, and takes back what it had reserved. The answer names the
-- quotas whose soft limit that passed. Step 0: what nothing was reserved for.
create function lari.settle_usage(tenant uuid, run uuid, of_step integer, used_tokens bigint, used_cost numeric) returns text[]
language plpgsql volatile as $$
declare
  q constant public.tenant_quotas := lari.quotas_of(tenant);
  this_month constant date := date_trunc('month', now() at time zone 'UTC')::date;
  r public.quota_reservations;
  u public.quota_usage;
  passed text[] := '{}';
begin
  delete from public.quota_reservations where run_id = run and step = of_step returning * into r;
  if r.month < this_month then
    update public.quota_usage set reserved_tokens = reserved_tokens - r.input_tokens - r.output_tokens, reserved_cost_usd = reserved_cost_usd - r.cost_usd
      where tenant_id = tenant and period = 'month' and starts_on = r.month;
    r := null;
  end if;
  insert into public.quota_usage as m (tenant_id, period, starts_on, tokens, cost_usd) values (tenant, 'month', this_month, used_tokens, used_cost)
    on conflict (tenant_id, period, starts_on) do update set tokens = m.tokens + excluded.tokens, cost_usd = m.cost_usd + excluded.cost_usd,
      reserved_tokens = m.reserved_tokens - coalesce(r.input_tokens + r.output_tokens, 0),
      reserved_cost_usd = m.reserved_cost_usd - coalesce(r.cost_usd, 0)
    returning * into u;
  if (u.tokens - used_tokens) * 100 < q.tokens_per_month * q.soft_percent and u.tokens * 100 >= q.tokens_per_month * q.soft_percent then
    passed := passed || 'tokens_per_month'::text;
  end if;
  if (u.cost_usd - used_cost) * 100 < q.cost_usd_per_month * q.soft_percent and u.cost_usd * 100 >= q.cost_usd_per_month * q.soft_percent then
    passed := passed || 'cost_usd_per_month'::text;
  end if;
  return passed;
end $$;

-- Takes back whatever a run has reserved: it has ended.
create function lari.free_usage(run uuid) returns void language sql volatile as $$
  with gone as (
    delete from public.quota_reservations where run_id = run returning tenant_id, month, input_tokens + output_tokens as tokens, cost_usd),
  sums as (
    select tenant_id, month, sum(tokens) as tokens, sum(cost_usd) as cost_usd from gone group by tenant_id, month)
  update public.quota_usage u set reserved_tokens = u.reserved_tokens - s.tokens, reserved_cost_usd = u.reserved_cost_usd - s.cost_usd
  from sums s where u.tenant_id = s.tenant_id and u.period = 'month' and u.starts_on = s.month
$$;

-- How many runs of the tenant take a slot, and how many are held.
create function lari.runs_in_use(tenant uuid, out active bigint, out held bigint) language sql stable as $$
  select (select count(*) from public.agent_runs where tenant_id = tenant and status in ('queued', 'running', 'waiting') and held_by is null),
    (select count(*) from public.agent_runs where tenant_id = tenant and status = 'queued' and held_by is not null)
$$;

revoke execute on function lari.reserve_usage(uuid, uuid, integer, bigint, bigint, bigint, numeric, numeric),
  lari.settle_usage(uuid, uuid, integer, bigint, numeric), lari.free_usage(uuid), lari.runs_in_use(uuid) from public;
grant execute on function lari.reserve_usage(uuid, uuid, integer, bigint, bigint, bigint, numeric, numeric),
  lari.settle_usage(uuid, uuid, integer, bigint, numeric), lari.free_usage(uuid), lari.runs_in_use(uuid) to authenticated, service_role;
