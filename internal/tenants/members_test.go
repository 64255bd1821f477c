package tenants_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/tenants"
)

// as gives the context of a caller with the role in the tenant.
func as(ctx context.Context, tenant uuid.UUID, role auth.Role) context.Context {
	p := &auth.Principal{Subject: string(role), Kind: auth.KindUser, Tenants: map[uuid.UUID]auth.Role{tenant: role}, DefaultTenant: tenant}
	if role == auth.RoleService {
		p = &auth.Principal{Subject: string(role), Kind: auth.KindService, Service: true}
	}
	return auth.With(ctx, p)
}

func put(role auth.Role) tenants.MemberUpdate { return tenants.MemberUpdate{Role: role} }

func TestAMemberFromTheFirstDayToTheLast(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	ctx, tenant := d.Tenant(t, "acme")
	stranger, other := d.Tenant(t, "other")
	owner := as(ctx, tenant, auth.RoleOwner)
	email := "ada@example.com"
	ada, created, err := s.PutMember(owner, "ada", tenants.MemberUpdate{Role: auth.RoleOwner, Email: &email})
	if err != nil || !created || ada.Email != email || ada.CreatedBy != "test" || ada.Role != auth.RoleOwner {
		t.Fatalf("added %+v, %v, %v", ada, created, err)
	}
	bob, created, err := s.PutMember(owner, "bob", put(auth.RoleViewer))
	if err != nil || !created {
		t.Fatal(bob, created, err)
	}
	again, created, err := s.PutMember(owner, "bob", put(auth.RoleAdmin))
	if err != nil || created || again.Role != auth.RoleAdmin || again.CreatedAt != bob.CreatedAt {
		t.Errorf("changed %+v, %v, %v", again, created, err)
	}
	if kept, _, err := s.PutMember(owner, "ada", put(auth.RoleOwner)); err != nil || kept.Email != email {
		t.Errorf("an absent email: %+v %v", kept, err)
	}
	all, err := s.FindMembers(ctx, "", page.Request{Limit: 1})
	if err != nil || len(all.Items) != 1 || all.Items[0].UserID != "ada" || all.NextCursor == nil {
		t.Fatalf("%+v %v", all, err)
	}
	rest, err := s.FindMembers(ctx, "", page.Request{Cursor: *all.NextCursor})
	if err != nil || len(rest.Items) != 1 || rest.Items[0].UserID != "bob" {
		t.Errorf("%+v %v", rest, err)
	}
	if admins, err := s.FindMembers(ctx, auth.RoleAdmin, page.Request{}); err != nil || len(admins.Items) != 1 || admins.Items[0].UserID != "bob" {
		t.Errorf("%+v %v", admins, err)
	}
	if none, err := s.FindMembers(stranger, "", page.Request{}); err != nil || len(none.Items) != 0 {
		t.Errorf("a stranger sees %+v %v", none, err)
	}
	_, err = s.FindMember(stranger, "ada")
	wantCode(t, err, fault.NotFound)
	wantCode(t, s.RemoveMember(as(stranger, other, auth.RoleOwner), "bob"), fault.NotFound)
	wantCode(t, s.RemoveMember(owner, "ada"), fault.Conflict)
	_, _, err = s.PutMember(owner, "ada", put(auth.RoleAdmin))
	wantCode(t, err, fault.Conflict)
	if err := s.RemoveMember(owner, "bob"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.RemoveMember(owner, "bob"), fault.NotFound)
	if _, _, err := s.PutMember(owner, "eve", put(auth.RoleOwner)); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveMember(owner, "ada"); err != nil {
		t.Errorf("an owner beside another one: %v", err)
	}
}

func TestMembersThatAreRefused(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	ctx, tenant := d.Tenant(t, "acme")
	bad := "not an address"
	if _, _, err := s.PutMember(as(ctx, tenant, auth.RoleService), "root", put(auth.RoleOwner)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		caller auth.Role
		user   string
		u      tenants.MemberUpdate
		code   fault.Code
	}{
		"no user":                 {auth.RoleOwner, "", put(auth.RoleViewer), fault.Invalid},
		"a space":                 {auth.RoleOwner, "a b", put(auth.RoleViewer), fault.Invalid},
		"a line break":            {auth.RoleOwner, "a\nb", put(auth.RoleViewer), fault.Invalid},
		"NUL":                     {auth.RoleOwner, "a\x00", put(auth.RoleViewer), fault.Invalid},
		"not UTF-8":               {auth.RoleOwner, "a\xff", put(auth.RoleViewer), fault.Invalid},
		"long":                    {auth.RoleOwner, strings.Repeat("a", 191), put(auth.RoleViewer), fault.Invalid},
		"no role":                 {auth.RoleOwner, "ada", put(""), fault.Invalid},
		"the platform's":          {auth.RoleService, "ada", put(auth.RoleService), fault.Invalid},
		"no address":              {auth.RoleOwner, "ada", tenants.MemberUpdate{Role: auth.RoleViewer, Email: &bad}, fault.Invalid},
		"above the caller":        {auth.RoleAdmin, "ada", put(auth.RoleOwner), fault.Forbidden},
		"by nobody":               {"", "ada", put(auth.RoleViewer), fault.Forbidden},
		"somebody above":          {auth.RoleAdmin, "root", put(auth.RoleViewer), fault.Forbidden},
		"as high as one can":      {auth.RoleAdmin, "ada", put(auth.RoleAdmin), ""},
		"as long as it may be":    {auth.RoleOwner, strings.Repeat("a", 190), put(auth.RoleViewer), ""},
		"letters of any alphabet": {auth.RoleOwner, "адa", put(auth.RoleViewer), ""},
	} {
		if _, _, err := s.PutMember(as(ctx, tenant, c.caller), c.user, c.u); fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
	}
	wantCode(t, s.RemoveMember(as(ctx, tenant, auth.RoleAdmin), "root"), fault.Forbidden)
	for cursor, n := (page.Request{Limit: 1}), 0; ; n++ {
		p, err := s.FindMembers(ctx, "", cursor)
		if err != nil || n > 4 {
			t.Fatalf("page %d: %v", n, err)
		}
		if p.NextCursor == nil {
			break
		}
		cursor.Cursor = *p.NextCursor
	}
}

// Owners that leave at the same moment must not leave the tenant without one.
func TestTheLastOwnerStays(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	ctx, tenant := d.Tenant(t, "acme")
	owner := as(ctx, tenant, auth.RoleOwner)
	for round := range 5 {
		const owners = 6
		for i := range owners {
			if _, _, err := s.PutMember(owner, fmt.Sprint("owner-", i), put(auth.RoleOwner)); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		var kept atomic.Int32
		for i := range owners {
			all.Go(func() {
				err := s.RemoveMember(owner, fmt.Sprint("owner-", i))
				if i%2 == 0 {
					_, _, err = s.PutMember(owner, fmt.Sprint("owner-", i), put(auth.RoleViewer))
				}
				switch {
				case fault.Is(err, fault.Conflict):
					kept.Add(1)
				case err != nil && !fault.Is(err, fault.NotFound):
					t.Error(err)
				}
			})
		}
		all.Wait()
		left, err := s.FindMembers(ctx, auth.RoleOwner, page.Request{})
		if err != nil || len(left.Items) != 1 || kept.Load() < 1 {
			t.Fatalf("round %d: %d owners are left, %d were kept (%v)", round, len(left.Items), kept.Load(), err)
		}
	}
}

// hook asks as Supabase Auth does, as the role that it has.
func hook(t *testing.T, d *pgtest.Database, role, user, claims string) (answer string, err error) {
	t.Helper()
	conn := d.Conn(t)
	if _, err := conn.Exec(t.Context(), `set role `+role); err != nil {
		t.Fatal(err)
	}
	err = conn.QueryRow(t.Context(), `select lari.custom_access_token_hook(jsonb_build_object('user_id', $1::text, 'claims', $2::jsonb, 'authentication_method', 'password'))::text`,
		user, claims).Scan(&answer)
	return answer, err
}

// checkHookNames demands that what leaves the hook has no case variant of a name that authorises, and no lari_writer.
func checkHookNames(t *testing.T, conn *pgx.Conn, call func(claims string) (string, error)) {
	t.Helper()
	answer, err := call(`{"sub": "ada", "exp": 1, "EXP": 2, "Role": "service_role", "role": "authenticated", "ſub": "eve", "APP_METADATA": {"role": "owner"},
		"lari_writer": true, "LARI_Writer": true, "rol": 1, "Theme": "dark",
		"app_metadata": {"provider": "email", "Role": "owner", "tenantſ": {"x": "owner"}, "TENANTS": {}, "Tenant_Id": "x", "Plan": "pro"}}`)
	if err != nil {
		t.Fatal(err)
	}
	var claims, app []string
	if err := conn.QueryRow(t.Context(), `select array(select k from jsonb_object_keys($1::jsonb -> 'claims') k order by k collate "C"),
		array(select k from jsonb_object_keys($1::jsonb #> '{claims,app_metadata}') k order by k collate "C")`, answer).Scan(&claims, &app); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(claims, []string{"Theme", "app_metadata", "exp", "rol", "role", "sub"}) || !slices.Equal(app, []string{"Plan", "provider", "role", "tenant_id", "tenants"}) {
		t.Errorf("the hook leaves %v and app_metadata %v", claims, app)
	}
	if !strings.Contains(answer, `"role": "authenticated"`) || !strings.Contains(answer, `"exp": 1`) || strings.Contains(answer, "service_role") {
		t.Errorf("the hook gives %s", answer)
	}
}

func TestTokenHook(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	// Roles belong to the cluster: other tests must not find Supabase's own in it.
	role := "lari_test_" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
	conn := d.Conn(t)
	if _, err := conn.Exec(t.Context(), `create role `+role+` nologin noinherit`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := conn.Exec(context.Background(), `drop owned by `+role+`; drop role `+role)
		if err != nil {
			t.Error(err)
		}
	})
	if _, err := hook(t, d, role, "ada", `{}`); err == nil {
		t.Error("anybody may call the hook")
	}
	for range 2 { // switching it on twice is switching it on
		if _, err := conn.Exec(t.Context(), `select lari.allow_token_hook($1)`, role); err != nil {
			t.Fatal(err)
		}
	}
	acme, a := d.Tenant(t, "acme")
	globex, g := d.Tenant(t, "globex")
	_, _, err := s.PutMember(as(acme, a, auth.RoleOwner), "ada", put(auth.RoleOwner))
	_, _, err2 := s.PutMember(as(acme, a, auth.RoleOwner), "bob", put(auth.RoleViewer))
	_, _, err3 := s.PutMember(as(globex, g, auth.RoleOwner), "bob", put(auth.RoleAdmin))
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	want := func(user, claims, app string) {
		t.Helper()
		answer, err := hook(t, d, role, user, claims)
		if err != nil {
			t.Fatal(err)
		}
		var same bool
		if err := conn.QueryRow(t.Context(), `select $1::jsonb -> 'claims' -> 'app_metadata' = $2::jsonb and $1::jsonb ->> 'authentication_method' = 'password'
			and ($1::jsonb -> 'claims') - 'app_metadata' = $3::jsonb - 'app_metadata'`, answer, app, claims).Scan(&same); err != nil || !same {
			t.Errorf("%s with %s: %s, want the app_metadata %s (%v)", user, claims, answer, app, err)
		}
	}
	want("nobody", `{"sub": "nobody"}`, `{"tenants": {}}`)
	want("ada", `{"sub": "ada", "app_metadata": {"provider": "email"}}`,
		fmt.Sprintf(`{"provider": "email", "tenants": {%q: "owner"}, "tenant_id": %[1]q, "role": "owner"}`, a))
	// What an earlier hand wrote into app_metadata gives nothing.
	want("nobody", fmt.Sprintf(`{"app_metadata": {"tenant_id": %q, "role": "owner", "tenants": {%[1]q: "owner"}}}`, a), `{"tenants": {}}`)
	both := fmt.Sprintf(`"tenants": {%q: "viewer", %q: "admin"}`, a, g)
	want("bob", `{"app_metadata": null}`, `{`+both+`}`)
	want("bob", fmt.Sprintf(`{"app_metadata": {"tenant_id": %q, "role": "owner"}}`, g), fmt.Sprintf(`{%s, "tenant_id": %q, "role": "admin"}`, both, g))
	want("bob", fmt.Sprintf(`{"app_metadata": {"tenant_id": %q}}`, uuid.NewString()), `{`+both+`}`)
	if _, err := conn.Exec(t.Context(), `update tenants set status = 'deleting' where id = $1`, g); err != nil {
		t.Fatal(err)
	}
	want("bob", `{}`, fmt.Sprintf(`{"tenants": {%q: "viewer"}, "tenant_id": %[1]q, "role": "viewer"}`, a))
	if _, err := conn.Exec(t.Context(), `update tenants set status = 'suspended' where id = $1`, a); err != nil {
		t.Fatal(err)
	}
	want("ada", `{}`, fmt.Sprintf(`{"tenants": {%q: "owner"}, "tenant_id": %[1]q, "role": "owner"}`, a))

	checkHookNames(t, conn, func(claims string) (string, error) { return hook(t, d, role, "ada", claims) })

	reader := d.Conn(t)
	if _, err := reader.Exec(t.Context(), `set role `+role); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`select name from tenants`, `select email from members`, `update members set role = 'owner'`, `delete from members`, `select count(*) from api_keys`, `select count(*) from agent_runs`,
	} {
		if _, err := reader.Exec(t.Context(), sql); err == nil {
			t.Errorf("the hook's role may %s", sql)
		}
	}
}

func TestService_FindStandings(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	acme, a := d.Tenant(t, "acme")
	_, g := d.Tenant(t, "globex")
	if _, _, err := s.PutMember(as(acme, a, auth.RoleOwner), "ada", put(auth.RoleAdmin)); err != nil {
		t.Fatal(err)
	}
	found, err := s.FindStandings(t.Context(), []auth.Membership{{Tenant: g, User: "ada"}, {Tenant: a, User: "ada"}, {Tenant: a, User: "eve"}, {Tenant: uuid.New(), User: "ada"}, {}})
	want := []auth.Standing{{TenantExists: true}, {TenantExists: true, Role: auth.RoleAdmin}, {TenantExists: true}, {}, {}}
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("%v, %v, want %v", found, err, want)
	}
	key, _, err := s.CreateKey(as(acme, a, auth.RoleOwner), tenants.NewKey{Name: "test", Role: auth.RoleViewer})
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := s.FindKeys(t.Context(), []string{key.Prefix, "none"}); err != nil || len(keys) != 1 || keys[0].ID != key.ID {
		t.Errorf("%v, %v", keys, err)
	}
}
