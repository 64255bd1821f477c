create table public.agent_runs (
  id                  uuid primary key,
  tenant_id           uuid not null references public.tenants (id),
  workspace_id        uuid,
  agent_id            uuid not null,
  agent_version       int not null,
  thread_id           uuid,
  schedule_id         uuid,
  status              text not null check (status in ('queued', 'running', 'waiting', 'completed', 'failed', 'cancelled', 'timed_out')),
  input               jsonb not null,
  output              text,
  error               jsonb,
  summary             jsonb,
  metadata            jsonb not null default '{}',
  input_tokens        bigint not null default 0,
  output_tokens       bigint not null default 0,
  cost_usd            numeric(20, 10) not null default 0,
  usage_estimated     boolean not null default false,
  step                int not null default 0,
  max_tokens          bigint,
  max_cost_usd        numeric(20, 10),
  max_steps           int not null,
  timeout_seconds     int not null,
  approval_seconds    int not null,
  webhook_url         text,
  request_id          text not null default '',
  created_by          text not null,
  created_at          timestamptz not null,
  started_at          timestamptz,
  finished_at         timestamptz,
  dispatched_at       timestamptz,
  cancel_requested_at timestamptz,
  cancel_requested_by text,
  cancel_reason       text,
  intake_closed       boolean not null default false,
  unique (tenant_id, id),
  foreign key (tenant_id, workspace_id) references public.workspaces (tenant_id, id),
  foreign key (tenant_id, agent_id) references public.agents (tenant_id, id),
  -- A run outlives its thread; a thread with an active run is not deleted.
  foreign key (tenant_id, thread_id) references public.threads (tenant_id, id) on delete set null (thread_id),
  -- A final run has an end, an active one has none.
  check ((finished_at is not null) = (status in ('completed', 'failed', 'cancelled', 'timed_out')))
);
-- Ids are UUIDv7: their order is the order of creation, so every list is one index walk.
create index agent_runs_list on public.agent_runs (tenant_id, id desc);
create index agent_runs_by_status on public.agent_runs (tenant_id, status, id desc);
create index agent_runs_by_agent on public.agent_runs (tenant_id, agent_id, id desc);
create index agent_runs_by_thread on public.agent_runs (tenant_id, thread_id, id desc) where thread_id is not null;
create index agent_runs_by_workspace on public.agent_runs (tenant_id, workspace_id, id desc) where workspace_id is not null;
create index agent_runs_by_schedule on public.agent_runs (tenant_id, schedule_id, id desc) where schedule_id is not null;
-- One active run a thread.
create unique index agent_runs_thread_busy on public.agent_runs (tenant_id, thread_id) where status in ('queued', 'running', 'waiting');
-- What the dispatcher looks for: accepted but perhaps never handed to the engine, and cancels that may have been lost.
create index agent_runs_undispatched on public.agent_runs (created_at) where status = 'queued' and dispatched_at is null;
create index agent_runs_cancelling on public.agent_runs (cancel_requested_at)
  where cancel_requested_at is not null and status in ('queued', 'running', 'waiting');
select lari.isolate_tenants('public.agent_runs');

-- A thread is not taken away from under a run that uses it: deleting it would null the run's reference.
create function lari.refuse_busy_thread() returns trigger language plpgsql as $$
begin
  raise exception using errcode = 'check_violation', constraint = 'thread_is_busy', message = 'a run is active on the thread';
end $$;
create trigger thread_is_busy before update of thread_id on public.agent_runs for each row
  when (old.thread_id is not null and new.thread_id is null and new.status in ('queued', 'running', 'waiting'))
  execute function lari.refuse_busy_thread();

-- The head of each run's event log. It is apart from the run because it changes with every delta.
create table public.run_logs (
  run_id    uuid primary key,
  tenant_id uuid not null,
  last_seq  bigint not null default 0,
  closed    boolean not null default false,
  foreign key (tenant_id, run_id) references public.agent_runs (tenant_id, id) on delete cascade
) with (fillfactor = 50);
select lari.isolate_tenants('public.run_logs');

create table public.run_events (
  tenant_id uuid not null,
  run_id    uuid not null,
  seq       bigint not null check (seq >= 1),
  type      text not null,
  at        timestamptz not null,
  data      jsonb not null,
  primary key (run_id, seq)
);
select lari.isolate_tenants('public.run_events');
-- The log is append-only; rows go only when their run does.
revoke update on public.run_events from authenticated, service_role;

create table public.run_steps (
  tenant_id     uuid not null,
  run_id        uuid not null,
  step          int not null check (step >= 1),
  content       text not null,
  finish        text not null,
  model         text not null,
  input_tokens  bigint not null,
  output_tokens bigint not null,
  cost_usd      numeric(20, 10) not null,
  estimated     boolean not null,
  finished_at   timestamptz not null,
  primary key (run_id, step),
  foreign key (tenant_id, run_id) references public.agent_runs (tenant_id, id) on delete cascade
);
select lari.isolate_tenants('public.run_steps');

create table public.tool_calls (
  id          uuid primary key,
  tenant_id   uuid not null,
  run_id      uuid not null,
  step        int not null,
  position    int not null,
  call_id     text not null,
  name        text not null,
  arguments   text not null,
  status      text not null check (status in ('pending', 'running', 'completed', 'failed', 'rejected')),
  result      text,
  started_at  timestamptz,
  finished_at timestamptz,
  unique (run_id, step, position),
  unique (tenant_id, id),
  foreign key (tenant_id, run_id) references public.agent_runs (tenant_id, id) on delete cascade
);
select lari.isolate_tenants('public.tool_calls');

create table public.approvals (
  id           uuid primary key,
  tenant_id    uuid not null,
  run_id       uuid not null,
  tool_call_id uuid not null unique,
  status       text not null check (status in ('pending', 'approved', 'rejected', 'expired')),
  arguments    text,
  reason       text not null default '',
  requested_at timestamptz not null,
  expires_at   timestamptz not null,
  resolved_at  timestamptz,
  resolved_by  text,
  signalled_at timestamptz,
  foreign key (tenant_id, run_id) references public.agent_runs (tenant_id, id) on delete cascade,
  foreign key (tenant_id, tool_call_id) references public.tool_calls (tenant_id, id) on delete cascade
);
create index approvals_by_run on public.approvals (run_id);
create index approvals_unsignalled on public.approvals (resolved_at) where resolved_at is not null and signalled_at is null;
select lari.isolate_tenants('public.approvals');

-- Messages sent into a live run; step is set when one has been injected.
create table public.run_messages (
  id         uuid primary key,
  tenant_id  uuid not null,
  run_id     uuid not null,
  content    text not null,
  step       int,
  created_by text not null,
  created_at timestamptz not null,
  foreign key (tenant_id, run_id) references public.agent_runs (tenant_id, id) on delete cascade
);
create index run_messages_by_run on public.run_messages (run_id, id);
select lari.isolate_tenants('public.run_messages');

-- A thread is not taken away from under an active run.
create function lari.keep_busy_threads() returns trigger language plpgsql as $$
begin
  if exists (select from public.agent_runs r where r.thread_id = old.id and r.status in ('queued', 'running', 'waiting')) then
    raise exception 'a run is active on thread %', old.id using errcode = 'check_violation', constraint = 'thread_is_busy';
  end if;
  return old;
end $$;
create trigger keep_busy_threads before delete on public.threads for each row execute function lari.keep_busy_threads();
