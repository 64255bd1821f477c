-- Whether the connectors were told how the run ended. null: its workflow sees to that. false: it ended from
-- outside its workflow and they have yet to be told. true: they have been.
alter table public.agent_runs add column end_told boolean;
create index agent_runs_untold on public.agent_runs (finished_at) where end_told = false;
-- What the reconciler walks through, oldest first.
create index agent_runs_unfinished on public.agent_runs (id) where status in ('queued', 'running', 'waiting');
