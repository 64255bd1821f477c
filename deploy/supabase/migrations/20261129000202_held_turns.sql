-- The dispatcher reads runs that wait for their thread, or for their time, without those that a pause or a quota holds.
create index agent_runs_thread_waiting on public.agent_runs (tenant_id, thread_id, id) where status = 'queued' and held_by = 'thread';
create index agent_runs_delayed on public.agent_runs (due_at) where status = 'queued' and held_by = 'delay';
