-- A name of a claim as a reader that ignores case would match it: "Role", "EXP" and even "tenantſ".
create function lari.fold_claim_name(name text) returns text language sql immutable strict set search_path = '' as
  $$ select lower(translate(name, U&'\017F\212A', 'sk') collate "C") $$;

-- Takes the members out of a JSON object that are one of the names in another case.
create function lari.drop_case_variants(object jsonb, names text[]) returns jsonb language sql immutable strict set search_path = '' as $$
  select object - coalesce(array_agg(k), '{}') from jsonb_object_keys(object) k
  where lari.fold_claim_name(k) = any (names) and k <> all (names)
$$;

-- As before, and two things more. Claims and app_metadata leave with no case variant of a name on which
-- authorisation depends: a reader that ignores case would take it for the name. lari_writer marks this service's
-- own connections (docs/adr/0005): no token carries it.
create or replace function lari.custom_access_token_hook(event jsonb) returns jsonb language plpgsql stable set search_path = '' as $$
declare
  claims jsonb := case when jsonb_typeof(event -> 'claims') = 'object' then event -> 'claims' else '{}' end;
  app jsonb := case when jsonb_typeof(claims -> 'app_metadata') = 'object' then claims -> 'app_metadata' else '{}' end;
  roles jsonb;
  members integer;
  acting text := app ->> 'tenant_id';
begin
  select coalesce(jsonb_object_agg(m.tenant_id, m.role), '{}'), count(*), case when count(*) = 1 then min(m.tenant_id::text) else acting end
    into roles, members, acting
    from (
      select m.tenant_id, m.role from public.members m join public.tenants t on t.id = m.tenant_id
      where m.user_id = event ->> 'user_id' and t.status <> 'deleting' order by m.created_at, m.tenant_id limit 100) m;
  app := (lari.drop_case_variants(app, '{tenant_id,role,tenants}') - 'tenant_id' - 'role') || jsonb_build_object('tenants', roles);
  if acting is not null and roles ? acting then
    app := app || jsonb_build_object('tenant_id', acting, 'role', roles -> acting);
  end if;
  claims := lari.drop_case_variants(claims, '{iss,sub,aud,exp,nbf,iat,jti,role,app_metadata,user_metadata,lari_writer}') - 'lari_writer';
  return jsonb_set(event, '{claims}', jsonb_set(claims, '{app_metadata}', app));
end $$;
