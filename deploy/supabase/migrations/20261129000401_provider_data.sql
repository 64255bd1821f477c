-- What a model provider wants back with a step of the conversation: thoughts, signatures, encrypted blocks. Nobody but
-- the provider reads it, so it stands apart from the step, which tenants' own tokens read: the role
-- policies, which follow, let no token read a table that they do not name. It goes with its run.
create table public.step_provider_data (
  tenant_id uuid not null,
  run_id    uuid not null,
  step      int not null check (step >= 1),
  data      bytea not null,
  primary key (run_id, step),
  foreign key (tenant_id, run_id) references public.agent_runs (tenant_id, id) on delete cascade
);
select lari.isolate_tenants('public.step_provider_data');
