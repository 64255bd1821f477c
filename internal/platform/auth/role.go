package auth

// Role is a named set of permissions. The roles are a ladder: each one grants everything the one below
// it grants.
type Role string

// The roles, lowest first. All but RoleService are held in a tenant; RoleService is the platform
// itself and holds in every tenant.
const (
	RoleViewer   Role = "viewer"
	RoleOperator Role = "operator"
	RoleAdmin    Role = "admin"
	RoleOwner    Role = "owner"
	RoleService  Role = "service_role"
)

// Roles lists every role, lowest first.
func Roles() []Role {
	return []Role{RoleViewer, RoleOperator, RoleAdmin, RoleOwner, RoleService}
}

// OfTenant reports whether the role is one that a member or an API key can hold in a tenant.
func (r Role) OfTenant() bool { return r.rank() > 0 && r != RoleService }

// Can reports whether the role grants the permission. A role or permission outside the lists grants
// nothing and is granted by nothing.
func (r Role) Can(p Permission) bool {
	lowest := p.lowestRole()
	return lowest != "" && r.rank() >= lowest.rank()
}

// AtLeast reports whether the role grants all that the other does. A role outside the list is at least
// nothing, and nothing is at least it.
func (r Role) AtLeast(other Role) bool { return other.rank() > 0 && r.rank() >= other.rank() }

// Permissions lists what the role grants, in the order of the package's Permissions.
func (r Role) Permissions() []Permission {
	var granted []Permission
	for _, p := range Permissions() {
		if r.Can(p) {
			granted = append(granted, p)
		}
	}
	return granted
}

// lowestRole is the one place where permissions meet roles; "" for a permission no role grants.
func (p Permission) lowestRole() Role {
	switch p {
	case RunRead, AgentRead, KnowledgeRead, ToolRead, AnalyticsRead, TenantRead, AuditRead:
		return RoleViewer
	case RunCreate, RunUpdate:
		return RoleOperator
	case AgentManage, KnowledgeManage, ToolManage, AnalyticsManage:
		return RoleAdmin
	case TenantManage:
		return RoleOwner
	case PlatformManage:
		return RoleService
	case Public, ServiceOnly:
		return "" // nobody needs it granted: Principal.Can answers before a role is asked
	}
	return ""
}

// rank is the rung on the ladder, 0 for a role that does not exist.
func (r Role) rank() int {
	switch r {
	case RoleViewer:
		return 1
	case RoleOperator:
		return 2
	case RoleAdmin:
		return 3
	case RoleOwner:
		return 4
	case RoleService:
		return 5
	}
	return 0
}
