package auth_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

func TestResolveNamedTenant(t *testing.T) {
	t.Parallel()
	member := &auth.Principal{Tenants: map[uuid.UUID]auth.Role{tenantA: auth.RoleViewer}, DefaultTenant: tenantA}
	both := &auth.Principal{Tenants: map[uuid.UUID]auth.Role{tenantA: auth.RoleViewer, tenantB: auth.RoleOwner}}
	service := &auth.Principal{Service: true}
	a, b := tenantA.String(), tenantB.String()
	for name, c := range map[string]struct {
		path, header string
		present      bool
		p            *auth.Principal
		want         uuid.UUID
		code         fault.Code
	}{
		"one's own":                     {a, "", false, member, tenantA, ""},
		"in capitals":                   {strings.ToUpper(a), "", false, member, tenantA, ""},
		"one's own, twice":              {a, a, true, member, tenantA, ""},
		"another's":                     {b, "", false, member, uuid.Nil, fault.NotFound},
		"another's, with one's own":     {b, a, true, member, uuid.Nil, fault.NotFound},
		"one's own, with another's":     {a, b, true, member, uuid.Nil, fault.Forbidden},
		"one of two, without a default": {b, "", false, both, tenantB, ""},
		"one of two, with the other":    {b, a, true, both, uuid.Nil, fault.NotFound},
		"the platform":                  {b, "", false, service, tenantB, ""},
		"the platform, with another":    {b, a, true, service, uuid.Nil, fault.NotFound},
		"a bad header":                  {a, "x", true, member, uuid.Nil, fault.Malformed},
		"an empty header":               {a, "", true, member, uuid.Nil, fault.Malformed},
		"a bad path":                    {"x", "", false, member, uuid.Nil, fault.Malformed},
		"a bad path, a good header":     {"x", a, true, member, uuid.Nil, fault.Malformed},
		"a bad path, a foreign header":  {"x", b, true, member, uuid.Nil, fault.Forbidden},
		"the nil path":                  {uuid.Nil.String(), "", false, service, uuid.Nil, fault.Malformed},
		"the nil path, a good header":   {uuid.Nil.String(), a, true, service, uuid.Nil, fault.Malformed},
		"nobody":                        {a, "", false, nil, uuid.Nil, fault.Unauthenticated},
	} {
		got, err := auth.ResolveNamedTenant(c.path, c.header, c.present, c.p)
		if got != c.want || fault.CodeOf(err) != c.code {
			t.Errorf("%s: %s, %v; want %s, %q", name, got, err, c.want, c.code)
		}
	}
}

func TestCanSomewhere(t *testing.T) {
	t.Parallel()
	both := &auth.Principal{Tenants: map[uuid.UUID]auth.Role{tenantA: auth.RoleViewer, tenantB: auth.RoleOwner}}
	scoped := &auth.Principal{Tenants: both.Tenants, Scopes: []auth.Permission{auth.RunRead}}
	for name, c := range map[string]struct {
		p    *auth.Principal
		of   auth.Permission
		want bool
	}{
		"in one of them":           {both, auth.TenantManage, true},
		"in none":                  {both, auth.PlatformManage, false},
		"outside the scopes":       {scoped, auth.TenantManage, false},
		"within the scopes":        {scoped, auth.RunRead, true},
		"the platform":             {&auth.Principal{Service: true}, auth.PlatformManage, true},
		"a scoped platform":        {&auth.Principal{Service: true, Scopes: []auth.Permission{}}, auth.PlatformManage, false},
		"nobody":                   {nil, auth.TenantRead, false},
		"a member of nothing":      {&auth.Principal{}, auth.TenantRead, false},
		"a role that is not known": {&auth.Principal{Tenants: map[uuid.UUID]auth.Role{tenantA: "root"}}, auth.TenantRead, false},
	} {
		if got := c.p.CanSomewhere(c.of); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestRoleAtLeast(t *testing.T) {
	t.Parallel()
	roles := auth.Roles()
	for i, r := range roles {
		for j, other := range roles {
			if r.AtLeast(other) != (i >= j) {
				t.Errorf("%s is at least %s: %v", r, other, r.AtLeast(other))
			}
		}
		if r.AtLeast("") || r.AtLeast("root") || auth.Role("root").AtLeast(r) || auth.Role("").AtLeast(r) {
			t.Errorf("%s and what is no role", r)
		}
	}
}
