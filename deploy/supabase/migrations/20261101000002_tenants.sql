create table public.tenants (
  id         uuid primary key,
  slug       text not null unique,
  name       text not null,
  created_at timestamptz not null default now()
);
select lari.isolate_tenants('public.tenants', 'id');

create table public.workspaces (
  id         uuid primary key,
  tenant_id  uuid not null references public.tenants (id),
  slug       text not null,
  name       text not null,
  created_at timestamptz not null default now(),
  unique (tenant_id, slug),
  unique (tenant_id, id)
);
select lari.isolate_tenants('public.workspaces');

-- Only a hash of the secret is kept; the prefix finds the row.
create table public.api_keys (
  id           uuid primary key,
  tenant_id    uuid not null references public.tenants (id),
  name         text not null,
  prefix       text not null unique,
  hash         bytea not null,
  role         text not null check (role in ('viewer', 'operator', 'admin', 'owner')),
  scopes       text[],
  created_by   text not null,
  created_at   timestamptz not null default now(),
  expires_at   timestamptz,
  revoked_at   timestamptz,
  last_used_at timestamptz
);
create index api_keys_by_tenant on public.api_keys (tenant_id, id);
select lari.isolate_tenants('public.api_keys');
-- The hash is the service's business alone.
revoke select on public.api_keys from authenticated;
grant select (id, tenant_id, name, prefix, role, scopes, created_by, created_at, expires_at, revoked_at, last_used_at)
  on public.api_keys to authenticated;
