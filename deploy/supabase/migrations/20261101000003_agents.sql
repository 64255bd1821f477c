create table public.agents (
  id          uuid primary key,
  tenant_id   uuid not null references public.tenants (id),
  slug        text not null,
  name        text not null,
  description text not null default '',
  version     int not null check (version >= 1),
  created_at  timestamptz not null,
  updated_at  timestamptz not null,
  archived_at timestamptz,
  unique (tenant_id, id)
);
create unique index agents_slug on public.agents (tenant_id, slug) where archived_at is null;
create index agents_list on public.agents (tenant_id, id desc) where archived_at is null;
select lari.isolate_tenants('public.agents');

-- A version is never changed: a run says which one it used.
create table public.agent_versions (
  tenant_id  uuid not null,
  agent_id   uuid not null,
  version    int not null,
  config     jsonb not null,
  created_by text not null,
  created_at timestamptz not null,
  primary key (agent_id, version),
  foreign key (tenant_id, agent_id) references public.agents (tenant_id, id) on delete cascade
);
select lari.isolate_tenants('public.agent_versions');
