create table public.threads (
  id            uuid primary key,
  tenant_id     uuid not null references public.tenants (id),
  title         text not null default '',
  metadata      jsonb not null default '{}',
  message_count int not null default 0,
  created_at    timestamptz not null,
  updated_at    timestamptz not null,
  unique (tenant_id, id)
);
create index threads_list on public.threads (tenant_id, id desc);
select lari.isolate_tenants('public.threads');

create table public.messages (
  tenant_id  uuid not null,
  thread_id  uuid not null,
  position   int not null check (position >= 1),
  role       text not null check (role in ('user', 'assistant')),
  content    text not null,
  run_id     uuid,
  created_at timestamptz not null,
  primary key (thread_id, position),
  foreign key (tenant_id, thread_id) references public.threads (tenant_id, id) on delete cascade
);
select lari.isolate_tenants('public.messages');
