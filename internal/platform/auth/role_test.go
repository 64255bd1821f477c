package auth_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/auth"
)

// matrix is DESIGN.md §5 written out: who holds what.
const matrix = `
permission        viewer operator admin owner service_role
run:create        -      yes      yes   yes   yes
run:read          yes    yes      yes   yes   yes
run:update        -      yes      yes   yes   yes
agent:read        yes    yes      yes   yes   yes
agent:manage      -      -        yes   yes   yes
knowledge:read    yes    yes      yes   yes   yes
knowledge:manage  -      -        yes   yes   yes
tool:read         yes    yes      yes   yes   yes
tool:manage       -      -        yes   yes   yes
analytics:read    yes    yes      yes   yes   yes
analytics:manage  -      -        yes   yes   yes
tenant:read       yes    yes      yes   yes   yes
tenant:manage     -      -        -     yes   yes
audit:read        yes    yes      yes   yes   yes
platform:manage   -      -        -     -     yes
`

func TestRoleMatrix(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSpace(matrix), "\n")
	var roles []auth.Role
	for _, name := range strings.Fields(lines[0])[1:] {
		roles = append(roles, auth.Role(name))
	}
	if !slices.Equal(roles, auth.Roles()) {
		t.Fatalf("the matrix is of %v, the roles are %v", roles, auth.Roles())
	}
	var permissions []auth.Permission
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		p := auth.Permission(cells[0])
		permissions = append(permissions, p)
		for i, role := range roles {
			want := cells[i+1] == "yes"
			if got := role.Can(p); got != want {
				t.Errorf("%s.Can(%s) = %v, want %v", role, p, got, want)
			}
			if got := slices.Contains(role.Permissions(), p); got != want {
				t.Errorf("%s.Permissions() holds %s: %v, want %v", role, p, got, want)
			}
		}
	}
	if !slices.Equal(permissions, auth.Permissions()) {
		t.Fatalf("the matrix is of %v, the permissions are %v", permissions, auth.Permissions())
	}
}

func TestUnknownGrantsNothing(t *testing.T) {
	t.Parallel()
	for _, role := range auth.Roles() {
		for _, p := range []auth.Permission{"", "run", "run:delete", "RUN:READ", "*:read", auth.Public} {
			if role.Can(p) {
				t.Errorf("%s.Can(%q)", role, p)
			}
			if p.Known() {
				t.Errorf("%q is known", p)
			}
		}
	}
	for _, role := range []auth.Role{"", "root", "Owner", "authenticated"} {
		if len(role.Permissions()) != 0 || role.OfTenant() {
			t.Errorf("role %q grants %v", role, role.Permissions())
		}
	}
	for _, p := range auth.Permissions() {
		if !p.Known() {
			t.Errorf("%s is not known", p)
		}
	}
	if auth.RoleService.OfTenant() || !auth.RoleViewer.OfTenant() {
		t.Error("OfTenant is for viewer to owner only")
	}
}
