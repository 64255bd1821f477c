package auth_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
)

func TestPrincipalCan(t *testing.T) {
	t.Parallel()
	member := func(role auth.Role, scopes []auth.Permission) *auth.Principal {
		return &auth.Principal{Tenants: map[uuid.UUID]auth.Role{tenantA: role}, Scopes: scopes}
	}
	tests := []struct {
		name       string
		principal  *auth.Principal
		tenant     uuid.UUID
		permission auth.Permission
		want       bool
	}{
		{"own tenant, granted", member(auth.RoleOperator, nil), tenantA, auth.RunCreate, true},
		{"own tenant, not granted", member(auth.RoleOperator, nil), tenantA, auth.AgentManage, false},
		{"another tenant", member(auth.RoleOwner, nil), tenantB, auth.RunRead, false},
		{"no tenant", member(auth.RoleOwner, nil), uuid.Nil, auth.RunRead, false},
		{"nil tenant in the map", &auth.Principal{Tenants: map[uuid.UUID]auth.Role{uuid.Nil: auth.RoleOwner}}, uuid.Nil, auth.RunRead, false},
		{"service_role in a tenant is no role", member(auth.RoleService, nil), tenantA, auth.RunRead, false},
		{"forgotten permission", member(auth.RoleOwner, nil), tenantA, "", false},
		{"scope holds it", member(auth.RoleOperator, []auth.Permission{auth.RunCreate}), tenantA, auth.RunCreate, true},
		{"scope does not hold it", member(auth.RoleOperator, []auth.Permission{auth.RunCreate}), tenantA, auth.RunRead, false},
		{"scope beyond the role", member(auth.RoleViewer, []auth.Permission{auth.RunCreate}), tenantA, auth.RunCreate, false},
		{"empty scope", member(auth.RoleOwner, []auth.Permission{}), tenantA, auth.RunRead, false},
		{"public despite the scope", member(auth.RoleViewer, []auth.Permission{}), tenantB, auth.Public, true},
		{"service in any tenant", &auth.Principal{Service: true}, tenantB, auth.TenantManage, true},
		{"service without a tenant", &auth.Principal{Service: true}, uuid.Nil, auth.TenantManage, true},
		{"service, forgotten permission", &auth.Principal{Service: true}, tenantB, "", false},
		{"nobody", nil, tenantA, auth.RunRead, false},
		{"nobody, public", nil, uuid.Nil, auth.Public, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.principal.Can(tt.tenant, tt.permission); got != tt.want {
				t.Errorf("Can = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPrincipalRole(t *testing.T) {
	t.Parallel()
	p := &auth.Principal{Tenants: map[uuid.UUID]auth.Role{tenantA: auth.RoleAdmin}}
	if role, ok := p.Role(tenantA); role != auth.RoleAdmin || !ok {
		t.Errorf("own tenant: %q, %v", role, ok)
	}
	if _, ok := p.Role(tenantB); ok {
		t.Error("a member of a tenant it does not belong to")
	}
	if role, ok := (&auth.Principal{Service: true}).Role(tenantB); role != auth.RoleService || !ok {
		t.Errorf("service: %q, %v", role, ok)
	}
}

func TestPrincipalInContext(t *testing.T) {
	t.Parallel()
	if p := auth.From(t.Context()); p != nil || p.Can(tenantA, auth.RunRead) {
		t.Errorf("an empty context carries %v", p)
	}
	p := &auth.Principal{Subject: subject}
	if got := auth.From(auth.With(t.Context(), p)); got != p {
		t.Errorf("got %v", got)
	}
}

// Not parallel: testing.AllocsPerRun counts what every goroutine allocates.
func TestCanDoesNotAllocate(t *testing.T) {
	p := &auth.Principal{
		Tenants: map[uuid.UUID]auth.Role{tenantA: auth.RoleOwner},
		Scopes:  auth.Permissions(),
	}
	held := true
	allocs := testing.AllocsPerRun(100, func() {
		held = held && p.Can(tenantA, auth.AuditRead) && !p.Can(tenantB, auth.AuditRead)
	})
	if allocs != 0 || !held {
		t.Errorf("%v allocations, held %v", allocs, held)
	}
}
