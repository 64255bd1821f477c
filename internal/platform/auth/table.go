package auth

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ServiceOnly marks a table that no member of a tenant reads past the API, whatever its role.
const ServiceOnly Permission = ""

// TableReads returns, for every table whose rows belong to tenants, the permission by which a member reads them with
// a Supabase client: that of the route that shows them. The database's policies are made from it (PolicySQL); no member
// writes any table. What routes show in part or not at all is ServiceOnly.
func TableReads() map[string]Permission {
	return map[string]Permission{
		"agent_runs":   RunRead,
		"run_events":   RunRead,
		"run_messages": RunRead,
		"run_steps":    RunRead,
		"run_logs":     RunRead,
		"tool_calls":   RunRead,
		"approvals":    RunRead,
		"threads":      RunRead,
		"messages":     RunRead,

		"agents":         AgentRead,
		"agent_versions": AgentRead,
		"documents":      KnowledgeRead,

		"webhook_endpoints":  AgentManage,
		"webhook_secrets":    ServiceOnly,
		"step_provider_data": ServiceOnly, // what model providers keep for themselves
		"webhook_headers":    ServiceOnly,
		"deliveries":         AgentManage,
		"delivery_attempts":  AgentManage,
		"schedules":          AgentManage,
		"schedule_changes":   AgentManage,
		"schedule_firings":   AgentManage,
		"daemon_states":      AgentManage,

		"analytics_usage":   AnalyticsRead,
		"analytics_runs":    AnalyticsRead,
		"analytics_latency": AnalyticsRead,
		"analytics_pending": AnalyticsRead,
		"analytics_reports": AnalyticsRead,

		"tenants":       TenantRead,
		"workspaces":    TenantRead,
		"members":       TenantRead,
		"api_keys":      TenantRead,
		"tenant_quotas": TenantRead,
		"quota_usage":   TenantRead,

		"audit_logs":  AuditRead,
		"audit_heads": AuditRead,

		"idempotency_keys":   ServiceOnly, // answers to others, whatever these may see
		"quota_reservations": ServiceOnly,
		"rate_buckets":       ServiceOnly,
	}
}

// PolicySQL returns the statements that bring the database's policies in line with the roles and with TableReads. The
// newest migration that changes either holds them word for word.
func PolicySQL() string {
	var b strings.Builder
	b.WriteString("create or replace function lari.role_can(role text, permission text) returns boolean language sql immutable parallel safe\n  return case permission\n")
	for _, p := range Permissions() {
		var holders []string
		for _, r := range Roles() {
			if r.OfTenant() && r.Can(p) {
				holders = append(holders, "'"+string(r)+"'")
			}
		}
		if len(holders) > 0 {
			fmt.Fprintf(&b, "    when '%s' then role in (%s)\n", p, strings.Join(holders, ", "))
		}
	}
	b.WriteString("    else false end;\n")
	reads := TableReads()
	for _, table := range slices.Sorted(maps.Keys(reads)) {
		if reads[table] != ServiceOnly {
			fmt.Fprintf(&b, "select lari.readable_with('public.%s', '%s');\n", table, reads[table])
		}
	}
	return b.String()
}
