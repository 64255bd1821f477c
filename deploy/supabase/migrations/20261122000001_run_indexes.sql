-- The unique key (tenant_id, id), walked backwards, serves the list of runs: a second index of the same
-- columns cost a write at each change of a run.
drop index public.agent_runs_list;
-- Room in each page, so that a step's update of its run need not touch any index.
alter table public.agent_runs set (fillfactor = 80);
alter table public.run_logs set (fillfactor = 80);
