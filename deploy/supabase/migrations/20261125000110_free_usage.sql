-- Nearly every run ends with nothing reserved: each of its steps was settled. As one statement of SQL the function
-- was planned anew in every run's last transaction, which took longer than all the rest of that.
create or replace function lari.free_usage(run uuid) returns void language plpgsql volatile as $$
begin
  if not exists (select from public.quota_reservations where run_id = run) then
    return;
  end if;
  with gone as (
    delete from public.quota_reservations where run_id = run returning tenant_id, month, input_tokens + output_tokens as tokens, cost_usd),
  sums as (
    select tenant_id, month, sum(tokens) as tokens, sum(cost_usd) as cost_usd from gone group by tenant_id, month)
  update public.quota_usage u set reserved_tokens = u.reserved_tokens - s.tokens, reserved_cost_usd = u.reserved_cost_usd - s.cost_usd
  from sums s where u.tenant_id = s.tenant_id and u.period = 'month' and u.starts_on = s.month;
end $$;
