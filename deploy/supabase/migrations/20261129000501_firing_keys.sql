-- What a firing is known by however often its workflow brings it: a hash of schedule, nominal time and execution.
-- The id of its run is made when the run is accepted, as that of any other run, so that lists by time find it.
-- Firings that older programs recorded have none; they are known by their id.
alter table public.schedule_firings add column firing_key uuid;
create unique index schedule_firings_key on public.schedule_firings (firing_key);
