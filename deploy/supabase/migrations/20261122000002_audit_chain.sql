-- Every tenant's audit trail is a chain: a row carries its place (1, 2, 3, … without holes), the hash of
-- the row before it and a hash over all its facts and that one. docs/audit.md has the encoding in full.

-- Where each chain ends. What is missing at a chain's end, or was put behind it, shows here.
create table public.audit_heads (
  tenant_id uuid primary key references public.tenants (id),
  position  bigint not null default 0,
  hash      bytea  not null default decode(repeat('00', 32), 'hex')
);

-- While this runs the owner of the table, who migrates, must see its rows.
alter table public.audit_logs no force row level security;
alter table public.audit_logs
  add column position bigint,
  add column client_ip text not null default '',
  add column prev_hash bytea,
  add column hash bytea,
  alter column data drop default;
-- json keeps a text as it was written, jsonb does not: what is hashed is what anybody reads.
alter table public.audit_logs alter column data type json using data::text::json;
alter table public.audit_logs alter column data set default '{}';

-- A netstring (D. J. Bernstein, 1997): what follows another cannot be taken for a part of it. Stable and
-- not strict, as its parts are, or Postgres would not fold it into the expression below.
create function lari.netstring(value text) returns text language sql stable as
  $$ select octet_length(convert_to(value, 'UTF8'))::text || ':' || value || ',' $$;

-- In PL/pgSQL, which keeps its plan: a function in SQL is planned anew in every transaction.
create function lari.audit_hash(l public.audit_logs) returns bytea language plpgsql stable as $$
begin
  return sha256(convert_to(
    lari.netstring('lari.audit.1') ||
    lari.netstring(l.tenant_id::text) ||
    lari.netstring(l.position::text) ||
    lari.netstring(l.id::text) ||
    lari.netstring(to_char(l.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) ||
    lari.netstring(l.actor) ||
    lari.netstring(l.action) ||
    lari.netstring(l.resource_type) ||
    lari.netstring(l.resource_id) ||
    lari.netstring(l.outcome) ||
    lari.netstring(l.request_id) ||
    lari.netstring(l.client_ip) ||
    lari.netstring(l.dedup_key) ||
    lari.netstring(l.data::text) ||
    lari.netstring(encode(l.prev_hash, 'hex')), 'UTF8'));
end $$;

-- Rows from before are chained in the order in which they came.
do $$
declare
  tenant uuid;
  l public.audit_logs;
  head public.audit_heads;
begin
  for tenant in select distinct tenant_id from public.audit_logs loop
    insert into public.audit_heads (tenant_id) values (tenant) returning * into head;
    for l in select * from public.audit_logs where tenant_id = tenant order by at, id loop
      l.at := date_trunc('milliseconds', l.at);
      l.position := head.position + 1;
      l.prev_hash := head.hash;
      l.hash := lari.audit_hash(l);
      update public.audit_logs set at = l.at, position = l.position, prev_hash = l.prev_hash, hash = l.hash where id = l.id;
      head.position := l.position;
      head.hash := l.hash;
    end loop;
    update public.audit_heads set position = head.position, hash = head.hash where tenant_id = tenant;
  end loop;
end $$;

alter table public.audit_logs
  alter column position set not null,
  alter column prev_hash set not null,
  alter column hash set not null,
  add constraint audit_logs_tenant_id_position_key unique (tenant_id, position);
alter table public.audit_logs force row level security;

-- Lists go by position now, which has an index.
drop index public.audit_logs_list;
create index audit_logs_by_time on public.audit_logs (tenant_id, at);
create index audit_logs_by_resource on public.audit_logs (tenant_id, resource_id, position);
-- Made anew, after the others: while the table is new to the planner all its indexes look the same, it
-- takes the youngest, and every append looks its key up.
alter table public.audit_logs
  drop constraint audit_logs_tenant_id_dedup_key_key,
  add constraint audit_logs_tenant_id_dedup_key_key unique (tenant_id, dedup_key);

-- Puts a row at its tenant's end of the chain, whatever the statement said of its place. The head is
-- locked until the transaction ends, so writers queue up and cannot fork the chain. A fact that is known
-- already, by its key, is left out and moves nothing.
create function lari.audit_append() returns trigger language plpgsql as $$
declare
  head public.audit_heads;
begin
  select * into head from public.audit_heads where tenant_id = new.tenant_id for no key update;
  if not found then
    insert into public.audit_heads (tenant_id) values (new.tenant_id) on conflict do nothing;
    select * into strict head from public.audit_heads where tenant_id = new.tenant_id for no key update;
  end if;
  if exists (select from public.audit_logs where tenant_id = new.tenant_id and dedup_key = new.dedup_key) then
    return null;
  end if;
  new.at := date_trunc('milliseconds', new.at);
  new.position := head.position + 1;
  new.prev_hash := head.hash;
  new.hash := lari.audit_hash(new);
  update public.audit_heads set position = new.position, hash = new.hash where tenant_id = new.tenant_id;
  return new;
end $$;
create trigger audit_append before insert on public.audit_logs for each row execute function lari.audit_append();

-- Refuses what would rewrite the trail, also when the owner or a superuser tries it by mistake. The one
-- exception is for the removal of a whole tenant by a role that is none of the application's:
--   begin; set local lari.erase_tenant = '<tenant id>';
--   delete from audit_logs where tenant_id = '<tenant id>'; delete from audit_heads where tenant_id = '<tenant id>'; …
create function lari.audit_keep() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and current_user not in ('anon', 'authenticated', 'service_role') then
    if current_setting('lari.erase_tenant', true) = old.tenant_id::text then
      return old;
    end if;
  end if;
  raise exception 'the audit trail is append-only: % of % is refused', lower(tg_op), tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger audit_keep before update or delete on public.audit_logs for each row execute function lari.audit_keep();
create trigger audit_keep_all before truncate on public.audit_logs for each statement execute function lari.audit_keep();
create trigger audit_keep before delete on public.audit_heads for each row execute function lari.audit_keep();
create trigger audit_keep_all before truncate on public.audit_heads for each statement execute function lari.audit_keep();

-- A head begins at nothing and is moved by an append only, one step at a time: never back.
create function lari.audit_head_guard() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    if new.position = 0 and new.hash = decode(repeat('00', 32), 'hex') then
      return new;
    end if;
  elsif pg_trigger_depth() > 1 and new.position = old.position + 1 and new.tenant_id = old.tenant_id then
    return new;
  end if;
  raise exception 'the head of an audit trail moves with an append only' using errcode = 'insufficient_privilege';
end $$;
create trigger audit_head_guard before insert or update on public.audit_heads for each row execute function lari.audit_head_guard();

select lari.isolate_tenants('public.audit_heads');
revoke delete on public.audit_heads from authenticated, service_role;
