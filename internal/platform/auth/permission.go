package auth

import "slices"

// Permission is what a route demands and a role grants, as "<family>:<verb>".
type Permission string

// The permissions, by family.
const (
	RunCreate       Permission = "run:create"
	RunRead         Permission = "run:read"
	RunUpdate       Permission = "run:update"
	AgentRead       Permission = "agent:read"
	AgentManage     Permission = "agent:manage"
	KnowledgeRead   Permission = "knowledge:read"
	KnowledgeManage Permission = "knowledge:manage"
	ToolRead        Permission = "tool:read"
	ToolManage      Permission = "tool:manage"
	AnalyticsRead   Permission = "analytics:read"
	AnalyticsManage Permission = "analytics:manage"
	TenantRead      Permission = "tenant:read"
	TenantManage    Permission = "tenant:manage"
	AuditRead       Permission = "audit:read"
	PlatformManage  Permission = "platform:manage" // of what no tenant owns; only the platform itself holds it
)

// Public marks a route that needs no caller. It is a word of its own and not the empty string, so that
// a route whose permission was forgotten is refused by everyone instead of open to everyone.
const Public Permission = "public"

// Permissions lists every permission that a role can grant or an API key can be scoped to; Public is
// not one of them.
func Permissions() []Permission {
	return []Permission{
		RunCreate, RunRead, RunUpdate,
		AgentRead, AgentManage,
		KnowledgeRead, KnowledgeManage,
		ToolRead, ToolManage,
		AnalyticsRead, AnalyticsManage,
		TenantRead, TenantManage,
		AuditRead,
		PlatformManage,
	}
}

// Known reports whether the permission is one of Permissions.
func (p Permission) Known() bool { return slices.Contains(Permissions(), p) }
