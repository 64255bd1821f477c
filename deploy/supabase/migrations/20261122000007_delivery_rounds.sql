-- A delivery that is made once more has a workflow of its own: the one before may not have closed yet.
alter table public.deliveries add column round integer not null default 1;

-- A delivery is written in the transaction that ends its run: what that costs, every run with a webhook waits
-- for. The run's own reference holds the tenant; rows come in the order of time, which BRIN is made for.
alter table public.deliveries drop constraint deliveries_tenant_id_fkey;
drop index public.deliveries_old;
create index deliveries_old on public.deliveries using brin (created_at);
