create table public.documents (
  id         uuid primary key,
  tenant_id  uuid not null references public.tenants (id),
  title      text not null,
  uri        text not null,
  body       text not null,
  search     tsvector generated always as
               (setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', body), 'B')) stored,
  created_at timestamptz not null default now(),
  unique (tenant_id, uri)
);
create index documents_search on public.documents using gin (search);
select lari.isolate_tenants('public.documents');
