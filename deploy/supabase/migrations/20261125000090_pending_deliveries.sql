-- The oldest delivery that is still tried is looked up for the metrics every few seconds.
create index deliveries_pending on public.deliveries (created_at) where status = 'pending';
