-- How often the reconciler has started a run again whose workflow was lost before the run began.
alter table public.agent_runs add column restarts smallint not null default 0;
-- How often the tool of a call was about to be called. The tries of a workflow's activity are others: they also count
-- those that never came to the tool because the database was away.
alter table public.tool_calls add column tries smallint not null default 0;
