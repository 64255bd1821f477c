-- Most runs of an agent or a workspace are completed: whoever looks for the others walked past all of them.
create index agent_runs_by_agent_status on public.agent_runs (tenant_id, agent_id, status, id desc) where status <> 'completed';
create index agent_runs_by_workspace_status on public.agent_runs (tenant_id, workspace_id, status, id desc)
  where workspace_id is not null and status <> 'completed';
