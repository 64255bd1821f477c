package tenants_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/tenants"
)

func TestPutMember_GrantsNoMoreThanTheCallerHolds(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	ctx, tenant := d.Tenant(t, "acme")
	key := func(role auth.Role, end time.Time, scopes ...auth.Permission) context.Context {
		return auth.With(ctx, &auth.Principal{Kind: auth.KindAPIKey, Tenants: map[uuid.UUID]auth.Role{tenant: role}, Scopes: scopes, ExpiresAt: end})
	}
	owner := as(ctx, tenant, auth.RoleOwner)
	for user, role := range map[string]auth.Role{"root": auth.RoleOwner, "boss": auth.RoleOwner, "hand": auth.RoleOperator} {
		if _, _, err := s.PutMember(owner, user, put(role)); err != nil {
			t.Fatal(err)
		}
	}
	soon := time.Now().Add(time.Hour)
	reads := append([]auth.Permission{auth.TenantManage}, auth.RoleViewer.Permissions()...)
	email := "hand@example.com"
	for _, c := range []struct {
		name   string
		caller context.Context //nolint:containedctx // a row of a table
		user   string
		u      tenants.MemberUpdate
		code   fault.Code
	}{
		{"an owner by a key of one scope", key(auth.RoleOwner, time.Time{}, auth.TenantManage), "eve", put(auth.RoleOwner), fault.Forbidden},
		{"a viewer by a key of one scope", key(auth.RoleOwner, time.Time{}, auth.TenantManage), "eve", put(auth.RoleViewer), fault.Forbidden},
		{"a promotion by a key of one scope", key(auth.RoleOwner, time.Time{}, auth.TenantManage), "hand", put(auth.RoleOwner), fault.Forbidden},
		{"an operator by a key that reads", key(auth.RoleOwner, time.Time{}, reads...), "eve", put(auth.RoleOperator), fault.Forbidden},
		{"an owner by a key that ends", key(auth.RoleOwner, soon), "eve", put(auth.RoleOwner), fault.Forbidden},
		{"a viewer by a key that ends", key(auth.RoleOwner, soon), "eve", put(auth.RoleViewer), fault.Forbidden},
		{"a promotion by a key that ends", key(auth.RoleOwner, soon), "hand", put(auth.RoleAdmin), fault.Forbidden},
		{"a viewer by a key that reads", key(auth.RoleOwner, time.Time{}, reads...), "eve", put(auth.RoleViewer), ""},
		{"an owner by a whole key", key(auth.RoleOwner, time.Time{}), "ada", put(auth.RoleOwner), ""},
		{"an address by a key of one scope", key(auth.RoleOwner, time.Time{}, auth.TenantManage), "hand", tenants.MemberUpdate{Role: auth.RoleOperator, Email: &email}, ""},
		{"a demotion by a key of one scope", key(auth.RoleOwner, time.Time{}, auth.TenantManage), "hand", put(auth.RoleViewer), ""},
		{"a demotion by a key that ends", key(auth.RoleOwner, soon), "boss", put(auth.RoleAdmin), ""},
		{"an owner by an owner's token", owner, "bob", put(auth.RoleOwner), ""},
		{"an owner by the platform", as(ctx, tenant, auth.RoleService), "eva", put(auth.RoleOwner), ""},
	} {
		if _, _, err := s.PutMember(c.caller, c.user, c.u); fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %q", c.name, err, c.code)
		}
	}
	_, err := s.FindMember(ctx, "eve")
	if eve, _ := s.FindMember(ctx, "eve"); err != nil || eve.Role != auth.RoleViewer {
		t.Errorf("eve is %+v, %v", eve, err)
	}
}

func TestUpdateKey_ChecksOnlyWhatItExtends(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	ctx, tenant := d.Tenant(t, "acme")
	narrow := auth.With(ctx, &auth.Principal{
		Kind: auth.KindAPIKey, Tenants: map[uuid.UUID]auth.Role{tenant: auth.RoleOwner}, Scopes: []auth.Permission{auth.TenantManage},
	})
	end, sooner, later := time.Now().Add(2*time.Hour), time.Now().Add(time.Hour), time.Now().Add(3*time.Hour)
	k, _, err := s.IssueKey(as(ctx, tenant, auth.RoleOwner), tenants.NewKey{Name: "strong", Role: auth.RoleOwner, ExpiresAt: &end})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		u    tenants.KeyUpdate
		code fault.Code
	}{
		{"later", tenants.KeyUpdate{ExpiresAt: &later}, fault.Forbidden},
		{"never", tenants.KeyUpdate{NeverExpires: true}, fault.Forbidden},
		{"sooner", tenants.KeyUpdate{ExpiresAt: &sooner}, ""},
		{"back again", tenants.KeyUpdate{ExpiresAt: &end}, fault.Forbidden},
	} {
		if _, err := s.UpdateKey(narrow, k.ID, c.u); fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %q", c.name, err, c.code)
		}
	}
}
