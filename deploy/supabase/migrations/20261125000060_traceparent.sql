-- The trace of the request that asked for a run (W3C Trace Context), so that a run which is started later, on
-- its own, can point to it.
alter table public.agent_runs add column traceparent text check (length(traceparent) = 55);
