-- A delivery that is made once more has a workflow of its own: the one before may not have closed yet.
alter table public.deliveries add column round integer not null default 1;
