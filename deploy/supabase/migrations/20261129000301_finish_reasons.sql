-- Why the model stopped, where it says something of the whole run; null: it did not answer, or the run is older than this column.
alter table public.agent_runs add column finish_reason text;

-- What cut an answer off that was not the agent's own limit or the model's: 'budget' (the run's) or 'quota' (the tenant's).
alter table public.run_steps add column cut_by text;
