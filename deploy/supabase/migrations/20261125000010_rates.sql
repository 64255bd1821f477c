-- The platform's row of a tenant's quotas is the platform's alone: the service writes only the tenant's own row
-- on behalf of the tenant.
alter policy writer_inserts on public.tenant_quotas with check ((select lari.is_writer()) and source = 'tenant');
alter policy writer_updates on public.tenant_quotas using ((select lari.is_writer()) and source = 'tenant');
alter policy writer_deletes on public.tenant_quotas using ((select lari.is_writer()) and source = 'tenant');

-- The bucket of a tenant's requests, in the form of the Generic Cell Rate Algorithm (ITU-T I.371): all that has to
-- be known is when it is full again. It has no row for a tenant without a limit.
create table public.rate_buckets (
  tenant_id  uuid primary key references public.tenants (id) on delete cascade,
  per_minute integer not null,
  full_at    timestamptz not null
) with (fillfactor = 50);
select lari.isolate_tenants('public.rate_buckets');

-- How a limit fills a bucket. The burst is what passes at once, four seconds' share. A request is earned every
-- so many seconds: what is leased in the 61 seconds before the end of a minute is burst + 61 / every - 1, which
-- is the limit, and whoever leases a request uses it within a second. So no minute has more than the limit.
create function lari.rate_of(per_minute integer, out burst integer, out every double precision) language sql immutable as $$
  select greatest(per_minute / 15, 1), 61.0 / (per_minute - greatest(per_minute / 15, 1) + 1)
$$;

-- Takes up to wanted requests out of the tenant's bucket, for one process to admit within a second. per_minute
-- is null for a tenant without a limit. A limit that changed keeps what has been used of the burst.
create function lari.lease_requests(
  tenant uuid, wanted integer,
  out per_minute integer, out granted integer, out remaining integer, out burst integer, out every double precision, out next_in double precision
) language plpgsql volatile as $$
declare
  b public.rate_buckets;
  at timestamptz;
  owed double precision; -- requests, of the burst
begin
  select min(q.requests_per_minute) into per_minute from public.tenant_quotas q where q.tenant_id = tenant;
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

revoke execute on function lari.rate_of(integer), lari.lease_requests(uuid, integer) from public;
grant execute on function lari.rate_of(integer), lari.lease_requests(uuid, integer) to authenticated, service_role;
