-- The guards of the audit log believed what their caller can write: the status of a tenant, a setting, how deep triggers
-- are nested. They now look at rows that only go forward. docs/audit.md has the whole in words.

-- Nobody needs temporary tables; for another owner's database this is a warning, and deploy/postgres/setup.sql does it.
do $$
begin
  execute format('revoke temporary on database %I from public', current_database());
end $$;

-- A deletion goes through its phases in order, cannot be made in the middle of them, and is not taken back once it began.
create function lari.deletion_guard() returns trigger language plpgsql set search_path = '' as $$
begin
  if tg_op = 'INSERT' then
    if new.phase = 'waiting' and new.finished_at is null and new.audit_position is null then
      return new;
    end if;
  elsif tg_op = 'UPDATE' then
    if (new.id, new.tenant_id, new.requested_at, new.requested_by, new.erase_at) = (old.id, old.tenant_id, old.requested_at, old.requested_by, old.erase_at)
      and (old.audit_position is null or (new.audit_position, new.audit_hash) = (old.audit_position, old.audit_hash))
      and old.phase not in ('completed', 'cancelled')
      and (new.phase = old.phase or (old.phase, new.phase) in (('waiting', 'stopping'), ('waiting', 'cancelled'), ('stopping', 'exporting'),
        ('stopping', 'erasing'), ('exporting', 'erasing'), ('erasing', 'completed')))
      and (old.phase <> 'waiting' or new.phase <> 'stopping' or old.erase_at <= clock_timestamp() + interval '1 minute')
      and (new.phase <> 'completed' or exists (select from public.audit_tombstones t where t.tenant_id = new.tenant_id and t.deletion_id = new.id)) then
      return new;
    end if;
    raise exception 'the deletion of a tenant goes on only: % after % is refused', new.phase, old.phase using errcode = 'insufficient_privilege';
  end if;
  raise exception 'the record of a deletion is kept: this % is refused', lower(tg_op) using errcode = 'insufficient_privilege';
end $$;
create trigger deletion_guard before insert or update or delete on public.tenant_deletions for each row execute function lari.deletion_guard();
create trigger deletion_guard_all before truncate on public.tenant_deletions for each statement execute function lari.deletion_guard();

-- Where the log of a tenant that was erased ended. It outlives the tenant and is never changed, but for the signature, which
-- the service adds once.
create table public.audit_tombstones (
  tenant_id   uuid primary key,
  deletion_id uuid not null,
  position    bigint not null,
  hash        bytea not null,
  erased_at   timestamptz not null,
  key_id      text,
  signature   bytea,
  check ((key_id is null) = (signature is null))
);
alter table public.audit_tombstones enable row level security;
alter table public.audit_tombstones force row level security;
create policy platform_rows on public.audit_tombstones for all to service_role using (true) with check (true);
create policy tenant_rows on public.audit_tombstones for select to authenticated
  using ((select lari.is_writer()) and tenant_id = (select lari.tenant_id()));
revoke all on public.audit_tombstones from anon, authenticated, service_role, public;
grant select on public.audit_tombstones to authenticated, service_role;
grant update (key_id, signature) on public.audit_tombstones to service_role;

create function lari.tombstone_guard() returns trigger language plpgsql set search_path = '' as $$
declare
  head public.audit_heads;
begin
  if tg_op = 'INSERT' then
    select * into head from public.audit_heads h where h.tenant_id = new.tenant_id;
    if new.position = coalesce(head.position, 0) and new.hash = coalesce(head.hash, decode(repeat('00', 32), 'hex'))
      and exists (select from public.tenant_deletions d where d.id = new.deletion_id and d.tenant_id = new.tenant_id and d.phase = 'erasing')
      and not exists (select from public.audit_logs l where l.tenant_id = new.tenant_id) then
      return new;
    end if;
  elsif tg_op = 'UPDATE' then
    if old.signature is null and (new.tenant_id, new.deletion_id, new.position, new.hash, new.erased_at) =
        (old.tenant_id, old.deletion_id, old.position, old.hash, old.erased_at) then
      return new;
    end if;
  end if;
  raise exception 'a tombstone of the audit log is kept as it is: this % is refused', lower(tg_op) using errcode = 'insufficient_privilege';
end $$;
create trigger tombstone_guard before insert or update or delete on public.audit_tombstones for each row execute function lari.tombstone_guard();
create trigger tombstone_guard_all before truncate on public.audit_tombstones for each statement execute function lari.tombstone_guard();

-- A tenant whose deletion has begun stays one that is being deleted, and the id of one that was erased is not used again.
-- These run as whoever writes: a role that may not look at deletions is refused.
create function lari.tenant_guard() returns trigger language plpgsql set search_path = '' as $$
begin
  if tg_op = 'INSERT' then
    if exists (select from public.audit_tombstones t where t.tenant_id = new.id) then
      raise exception 'the tenant % was erased: its id is not used again', new.id using errcode = 'insufficient_privilege';
    end if;
  elsif exists (select from public.tenant_deletions d where d.tenant_id = old.id and d.phase not in ('waiting', 'cancelled')) then
    raise exception 'the deletion of % has begun and is not taken back', old.id using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger tenant_guard_insert before insert on public.tenants for each row execute function lari.tenant_guard();
create trigger tenant_guard before update on public.tenants for each row
  when (old.status = 'deleting' and new.status <> 'deleting' or old.id <> new.id) execute function lari.tenant_guard();

-- Puts a row at the end of its tenant's chain, whatever the statement said of its place. The head is locked until the
-- transaction ends, so writers queue up and cannot fork the chain. It is moved once, when the statement ends
-- (lari.audit_advance); until then the rows of the statement follow one another. A fact that is known already, by its
-- key, is left out and moves nothing.
create or replace function lari.audit_append() returns trigger language plpgsql set search_path = '' as $$
declare
  head public.audit_heads;
  last record;
begin
  select * into head from public.audit_heads where tenant_id = new.tenant_id for no key update;
  if not found then
    insert into public.audit_heads (tenant_id) values (new.tenant_id) on conflict do nothing;
    select * into strict head from public.audit_heads where tenant_id = new.tenant_id for no key update;
  end if;
  if exists (select from public.audit_logs where tenant_id = new.tenant_id and dedup_key = new.dedup_key) then
    return null;
  end if;
  select l.position, l.hash into last from public.audit_logs l where l.tenant_id = new.tenant_id order by l.position desc limit 1;
  new.at := date_trunc('milliseconds', new.at);
  new.position := coalesce(last.position, 0) + 1;
  new.prev_hash := coalesce(last.hash, decode(repeat('00', 32), 'hex'));
  new.hash := lari.audit_hash(new);
  return new;
end $$;

-- Moves the heads of the chains that a statement has added to. Where the head and the chain do not fit, nothing is added.
create function lari.audit_advance() returns trigger language plpgsql set search_path = '' as $$
declare
  n bigint;
  tenants bigint;
begin
  select count(distinct a.tenant_id) into tenants from added a;
  update public.audit_heads h set position = l.position, hash = l.hash
  from (select distinct on (a.tenant_id) a.tenant_id, a.position, a.hash from added a order by a.tenant_id, a.position desc) l
  where h.tenant_id = l.tenant_id;
  get diagnostics n = row_count;
  if n <> tenants then
    raise exception 'the head of an audit log is missing' using errcode = 'insufficient_privilege';
  end if;
  return null;
end $$;
create trigger audit_advance after insert on public.audit_logs referencing new table as added
  for each statement execute function lari.audit_advance();

-- A head begins at nothing, in a log that was never erased, and moves forward along rows that are there: from the row after
-- it, which continues it, to the one it is moved to. Rows come by an append only, so a head does too, whoever moves it.
create or replace function lari.audit_head_guard() returns trigger language plpgsql set search_path = '' as $$
declare
  first record;
  last record;
begin
  if tg_op = 'INSERT' then
    if new.position = 0 and new.hash = decode(repeat('00', 32), 'hex')
      and not exists (select from public.audit_tombstones t where t.tenant_id = new.tenant_id)
      and not exists (select from public.audit_logs l where l.tenant_id = new.tenant_id) then
      return new;
    end if;
  elsif new.tenant_id = old.tenant_id and new.position > old.position then
    -- Asked for in order, or the planner takes any index that begins with the tenant while the table is new to it.
    select l.position, l.prev_hash, l.hash into first from public.audit_logs l
      where l.tenant_id = old.tenant_id and l.position > old.position order by l.position limit 1;
    last := first;
    if new.position > first.position then
      select l.position, l.prev_hash, l.hash into last from public.audit_logs l
        where l.tenant_id = old.tenant_id and l.position >= new.position order by l.position limit 1;
    end if;
    if first.position = old.position + 1 and first.prev_hash = old.hash and last.position = new.position and last.hash = new.hash then
      return new;
    end if;
  end if;
  raise exception 'the head of an audit log moves with an append only' using errcode = 'insufficient_privilege';
end $$;
alter function lari.audit_hash(public.audit_logs) set search_path = '';

-- Refuses what would rewrite the log, also when the owner or a superuser tries it by mistake. Rows go while the deletion of
-- their tenant is erasing, and the head when its tombstone stands.
create or replace function lari.audit_keep() returns trigger language plpgsql set search_path = '' as $$
begin
  if tg_op = 'DELETE' and current_user not in ('anon', 'authenticated', 'service_role') then
    if exists (select from public.tenant_deletions d where d.tenant_id = old.tenant_id and d.phase = 'erasing')
      and (tg_table_name = 'audit_logs' or exists (
        select from public.audit_tombstones t where t.tenant_id = old.tenant_id and t.position = old.position)) then
      return old;
    end if;
  end if;
  raise exception 'the audit log is append-only: % of % is refused', lower(tg_op), tg_table_name using errcode = 'insufficient_privilege';
end $$;

-- The one way through for the service. These run as their owner; what they go by, nobody can write out of order.
create or replace function lari.erase_audit_rows(tenant uuid, batch integer) returns bigint
language plpgsql volatile security definer set search_path = '' as $$
declare
  removed bigint;
begin
  perform set_config('lari.erase_tenant', tenant::text, true);
  if not exists (select from public.tenant_deletions d where d.tenant_id = tenant and d.phase = 'erasing') then
    raise exception 'the audit log of % is kept: no deletion is erasing it', tenant using errcode = 'insufficient_privilege';
  end if;
  delete from public.audit_logs where ctid = any (array(
    select l.ctid from public.audit_logs l where l.tenant_id = tenant order by l.position limit batch));
  get diagnostics removed = row_count;
  perform set_config('lari.erase_tenant', '', true);
  return removed;
end $$;

-- Returns where the log ended, which the tombstone keeps; it is empty by then.
create or replace function lari.erase_audit_head(tenant uuid) returns table (ended_at bigint, ended_with bytea)
language plpgsql volatile security definer set search_path = '' as $$
declare
  deletion uuid;
  head public.audit_heads;
begin
  perform set_config('lari.erase_tenant', tenant::text, true);
  select d.id into deletion from public.tenant_deletions d where d.tenant_id = tenant and d.phase = 'erasing';
  if not found or exists (select from public.audit_logs where tenant_id = tenant) then
    raise exception 'the audit log of % is kept', tenant using errcode = 'insufficient_privilege';
  end if;
  select * into head from public.audit_heads h where h.tenant_id = tenant for update;
  insert into public.audit_tombstones (tenant_id, deletion_id, position, hash, erased_at)
  values (tenant, deletion, coalesce(head.position, 0), coalesce(head.hash, decode(repeat('00', 32), 'hex')), date_trunc('milliseconds', clock_timestamp()));
  return query delete from public.audit_heads h where h.tenant_id = tenant returning h.position, h.hash;
  perform set_config('lari.erase_tenant', '', true);
end $$;

-- Row security holds for the owner too, unless it may pass it: within these functions it sees the rows of the one tenant.
do $$
declare
  t text;
begin
  if (select not rolsuper and not rolbypassrls from pg_roles where rolname = current_user) then
    foreach t in array array['tenant_deletions', 'audit_tombstones'] loop
      execute format('create policy erased_rows on public.%I for all to %I using (tenant_id::text = current_setting(''lari.erase_tenant'', true))', t, current_user);
    end loop;
  end if;
end $$;
