-- Takes back what lari.admit_run counted for a run that came to nothing.
create function lari.unadmit_run(tenant uuid, accepted timestamptz) returns void language sql volatile as $$
  update public.quota_usage u set runs = greatest(u.runs - 1, 0)
  where u.tenant_id = tenant and u.period = 'day' and u.starts_on = (accepted at time zone 'UTC')::date
$$;
revoke execute on function lari.unadmit_run(uuid, timestamptz) from public;
grant execute on function lari.unadmit_run(uuid, timestamptz) to authenticated, service_role;
