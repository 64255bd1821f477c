package auth_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

const notUUID = "x-tenant-id is not one UUID like 0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f"

func TestResolveTenant(t *testing.T) {
	t.Parallel()
	one := &auth.Principal{Tenants: map[uuid.UUID]auth.Role{tenantA: auth.RoleViewer}, DefaultTenant: tenantA}
	two := &auth.Principal{Tenants: map[uuid.UUID]auth.Role{tenantA: auth.RoleViewer, tenantB: auth.RoleOwner}}
	none := &auth.Principal{}
	stray := &auth.Principal{Tenants: map[uuid.UUID]auth.Role{tenantA: auth.RoleViewer}, DefaultTenant: tenantB}
	service := &auth.Principal{Service: true}
	homed := &auth.Principal{Service: true, DefaultTenant: tenantB}
	a := tenantA.String()
	tests := []struct {
		name    string
		header  string
		present bool
		p       *auth.Principal
		want    uuid.UUID
		code    fault.Code
		detail  string
	}{
		{"absent: the default", "", false, one, tenantA, "", ""},
		{"absent: several, no default", "", false, two, uuid.Nil, fault.Malformed, "you belong to several tenants: say which tenant with x-tenant-id"},
		{"absent: member of none", "", false, none, uuid.Nil, fault.Forbidden, "you belong to no tenant"},
		{"absent: default is not one's own", "", false, stray, uuid.Nil, fault.Forbidden, "you are not a member of your default tenant"},
		{"absent: service without default", "", false, service, uuid.Nil, fault.Malformed, "a service token acts for every tenant: say which tenant with x-tenant-id"},
		{"absent: service with default", "", false, homed, tenantB, "", ""},
		{"own tenant", a, true, one, tenantA, "", ""},
		{"second tenant", tenantB.String(), true, two, tenantB, "", ""},
		{"upper case", strings.ToUpper(a), true, one, tenantA, "", ""},
		{"not a member", tenantB.String(), true, one, uuid.Nil, fault.Forbidden, "you are not a member of the tenant in x-tenant-id"},
		{"member of none", a, true, none, uuid.Nil, fault.Forbidden, "you are not a member of the tenant in x-tenant-id"},
		{"service: any tenant", a, true, service, tenantA, "", ""},
		{"service: header beats default", a, true, homed, tenantA, "", ""},
		{"service: still a UUID", "acme", true, service, uuid.Nil, fault.Malformed, notUUID},
		{"service: nil UUID", uuid.Nil.String(), true, service, uuid.Nil, fault.Malformed, notUUID},
		{"nobody", a, true, nil, uuid.Nil, fault.Unauthenticated, "no credential"},
		{"nobody, absent", "", false, nil, uuid.Nil, fault.Unauthenticated, "no credential"},
		{"empty", "", true, one, uuid.Nil, fault.Malformed, notUUID},
		{"slug", "acme", true, one, uuid.Nil, fault.Malformed, notUUID},
		{"nil UUID", uuid.Nil.String(), true, one, uuid.Nil, fault.Malformed, notUUID},
		{"leading space", " " + a, true, one, uuid.Nil, fault.Malformed, notUUID},
		{"trailing space", a + " ", true, one, uuid.Nil, fault.Malformed, notUUID},
		{"trailing newline", a + "\n", true, one, uuid.Nil, fault.Malformed, notUUID},
		{"tab for the last digit", a[:35] + "\t", true, one, uuid.Nil, fault.Malformed, notUUID},
		{"sent twice", a + ", " + a, true, one, uuid.Nil, fault.Malformed, notUUID},
		{"sent twice, no space", a + "," + tenantB.String(), true, two, uuid.Nil, fault.Malformed, notUUID},
		{"urn", "urn:uuid:" + a, true, one, uuid.Nil, fault.Malformed, notUUID},
		{"braces", "{" + a + "}", true, one, uuid.Nil, fault.Malformed, notUUID},
		{"no dashes", strings.ReplaceAll(a, "-", ""), true, one, uuid.Nil, fault.Malformed, notUUID},
		{"dashes elsewhere", "0197a7c85-c4e-7d3a-9f10-3b2a1c0d9e8f", true, one, uuid.Nil, fault.Malformed, notUUID},
		{"full-width digit", "0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9\uff10", true, one, uuid.Nil, fault.Malformed, notUUID},
		{"10 kB", strings.Repeat("a", 10_000), true, one, uuid.Nil, fault.Malformed, notUUID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := auth.ResolveTenant(tt.header, tt.present, tt.p)
			if got != tt.want {
				t.Errorf("tenant %s, want %s", got, tt.want)
			}
			if tt.code == "" {
				if err != nil {
					t.Errorf("error %v", err)
				}
				return
			}
			wantFault(t, err, tt.code, tt.detail)
		})
	}
}

func FuzzResolveTenant(f *testing.F) {
	for _, header := range []string{"", "acme", tenantA.String(), strings.ToUpper(tenantB.String()), "{" + tenantA.String() + "}", "urn:uuid:" + tenantA.String(), "\x00"} {
		f.Add(header, true, 1)
		f.Add(header, false, 2)
	}
	principals := []*auth.Principal{
		nil,
		{},
		{Tenants: map[uuid.UUID]auth.Role{tenantA: auth.RoleViewer}, DefaultTenant: tenantA},
		{Tenants: map[uuid.UUID]auth.Role{tenantA: auth.RoleViewer, tenantB: auth.RoleOwner}},
		{Service: true},
	}
	f.Fuzz(func(t *testing.T, header string, present bool, who int) {
		p := principals[uint(who)%uint(len(principals))]
		tenant, err := auth.ResolveTenant(header, present, p)
		if err != nil {
			var fe *fault.Error
			if !errors.As(err, &fe) {
				t.Fatalf("%v is not a *fault.Error", err)
			}
			if tenant != uuid.Nil {
				t.Fatalf("an error and tenant %s", tenant)
			}
			return
		}
		if _, member := p.Role(tenant); !member || tenant == uuid.Nil {
			t.Fatalf("%q resolves to %s, of which %+v is not a member", header, tenant, p)
		}
		if present && !strings.EqualFold(header, tenant.String()) {
			t.Fatalf("%q resolves to %s", header, tenant)
		}
	})
}
