-- What a step had used when it was stopped is no row of run_steps: it is counted with the run's end. Its model is kept
-- beside it, or a run that was stopped in its first step would have used tokens of no model.
alter table public.agent_runs add column partial_model text;

create or replace function lari.record_run() returns trigger language plpgsql as $$
begin
  insert into public.analytics_pending
  select new.tenant_id, new.id, 'run', 0, new.finished_at, new.agent_id, coalesce(new.workspace_id, '00000000-0000-0000-0000-000000000000'),
    coalesce(new.partial_model, max(s.model), ''), new.input_tokens - coalesce(sum(s.input_tokens), 0), new.output_tokens - coalesce(sum(s.output_tokens), 0),
    new.cost_usd - coalesce(sum(s.cost_usd), 0), new.usage_estimated, new.status, coalesce(new.error ->> 'code', ''), new.created_at, new.started_at
  from public.run_steps s where s.run_id = new.id and s.step > coalesce(new.forked_step, 0)
  on conflict do nothing;
  return null;
end $$;

create or replace view lari.analytics_facts with (security_invoker = true) as
  select s.tenant_id, s.run_id, 'step' as kind, s.step, s.finished_at as at, r.agent_id, coalesce(r.workspace_id, '00000000-0000-0000-0000-000000000000') as workspace_id,
    s.model, s.input_tokens, s.output_tokens, s.cost_usd, s.estimated, null as status, null as error_code,
    null::timestamptz as created_at, null::timestamptz as started_at
  from public.run_steps s join public.agent_runs r on r.id = s.run_id and r.tenant_id = s.tenant_id
  where s.step > coalesce(r.forked_step, 0)
  union all
  select r.tenant_id, r.id, p.kind, 0, p.at, r.agent_id, coalesce(r.workspace_id, '00000000-0000-0000-0000-000000000000'), coalesce(r.partial_model, s.model, ''),
    r.input_tokens - coalesce(s.input_tokens, 0), r.output_tokens - coalesce(s.output_tokens, 0), r.cost_usd - coalesce(s.cost_usd, 0),
    r.usage_estimated, r.status, coalesce(r.error ->> 'code', ''), r.created_at, r.started_at
  from public.agent_runs r
  cross join lateral (values ('created', r.created_at), ('started', r.started_at), ('ended', r.finished_at)) as p (kind, at)
  cross join lateral (
    select sum(s.input_tokens) as input_tokens, sum(s.output_tokens) as output_tokens, sum(s.cost_usd) as cost_usd, max(s.model) as model
    from public.run_steps s where s.run_id = r.id and s.step > coalesce(r.forked_step, 0)) s
  where r.finished_at is not null and p.at is not null;
