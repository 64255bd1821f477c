package tenants

// table says how the rows of a tenant are found in a table, exported and erased.
type table struct {
	name string
	// Rows are found by their tenant, for which the table has an index; or, where it has none, by the parent
	// that they belong to.
	parent string // the table of the parent; "": by the tenant
	by     string // the column that refers to the parent's id
	key    string // what orders the rows of a tenant, or of a parent, in an export, and tells them apart
	typ    string // its type
	omit   []string
	unsaid string // why it is not in an export; "": it is
	guard  guard
}

// guard says what must happen to erase a table beside a delete.
type guard int

const (
	unguarded guard = iota
	trail           // rows of the audit trail go through lari.erase_audit_rows
	last            // the one row goes with the tenant's, in the last transaction
)

const (
	byRun  = "agent_runs"
	secret = "it holds nothing but secrets"
	sums   = "it is summed up from runs and their steps"
)

// tables lists every table that belongs to tenants, in the order of erasing: whoever refers to another comes
// before it. A test compares it with the database's catalogue, so that a new table cannot be forgotten.
func tables() []table {
	return []table{
		{name: "run_events", parent: byRun, by: "run_id", key: "seq", typ: "bigint"},
		{name: "delivery_attempts", parent: "deliveries", by: "delivery_id", key: "n", typ: "integer"},
		{name: "deliveries", key: "id", typ: "uuid"},
		{name: "approvals", parent: byRun, by: "run_id", key: "id", typ: "uuid"},
		{name: "tool_calls", key: "id", typ: "uuid"},
		{name: "run_messages", parent: byRun, by: "run_id", key: "id", typ: "uuid"},
		{name: "step_provider_data", parent: byRun, by: "run_id", key: "step", typ: "integer", unsaid: "it is what model providers keep for themselves"},
		{name: "run_steps", parent: byRun, by: "run_id", key: "step", typ: "integer"},
		{name: "run_logs", parent: byRun, by: "run_id", key: "run_id", typ: "uuid"},
		{name: "quota_reservations", parent: byRun, by: "run_id", key: "step", typ: "integer", unsaid: "it holds what steps under way may use"},
		{name: byRun, key: "id", typ: "uuid"},
		{name: "messages", parent: "threads", by: "thread_id", key: "position", typ: "integer"},
		{name: "threads", key: "id", typ: "uuid"},
		{name: "analytics_pending", key: "run_id || ' ' || kind || ' ' || step", typ: "text", unsaid: sums},
		{name: "analytics_usage", key: "at || ' ' || grain || ' ' || agent_id || ' ' || workspace_id || ' ' || model", typ: "text", unsaid: sums},
		{name: "analytics_runs", key: "at || ' ' || grain || ' ' || agent_id || ' ' || workspace_id || ' ' || error_code", typ: "text", unsaid: sums},
		{name: "analytics_latency", key: "at || ' ' || grain || ' ' || measure || ' ' || agent_id || ' ' || workspace_id", typ: "text", unsaid: sums},
		{name: "analytics_reports", key: "id", typ: "uuid"},
		{name: "webhook_secrets", key: "id", typ: "uuid", unsaid: secret},
		{name: "webhook_headers", parent: "webhook_endpoints", by: "endpoint_id", key: "endpoint_id", typ: "uuid", unsaid: secret},
		{name: "webhook_endpoints", key: "id", typ: "uuid"},
		{name: "schedule_firings", parent: "schedules", by: "schedule_id", key: "id", typ: "uuid"},
		{name: "schedule_changes", parent: "schedules", by: "schedule_id", key: "id", typ: "uuid"},
		{name: "schedules", key: "id", typ: "uuid"},
		{name: "agent_versions", parent: "agents", by: "agent_id", key: "version", typ: "integer"},
		{name: "agents", key: "id", typ: "uuid"},
		{name: "documents", key: "uri", typ: "text"},
		{name: "idempotency_keys", key: "route || ' ' || key", typ: "text", unsaid: "it repeats answers of the last 24 hours"},
		{name: "api_keys", key: "id", typ: "uuid", omit: []string{"hash"}},
		{name: "members", key: "user_id", typ: "text"},
		{name: "workspaces", key: "id", typ: "uuid"},
		{name: "tenant_quotas", key: "source", typ: "text"},
		{name: "quota_usage", key: "period || ' ' || starts_on", typ: "text"},
		{name: "rate_buckets", key: "tenant_id", typ: "uuid", unsaid: "it holds the last minute of requests"},
		{name: "daemon_states", key: "tenant_id", typ: "uuid"},
		{name: "audit_logs", key: "position", typ: "bigint", guard: trail},
		{name: "audit_heads", key: "tenant_id", typ: "uuid", guard: last},
		{name: "tenants", key: "id", typ: "uuid", guard: last},
	}
}

// tenantColumn is the column that holds the tenant.
func (t table) tenantColumn() string {
	if t.name == "tenants" {
		return "id"
	}
	return "tenant_id"
}

// exported lists the tables that an export holds.
func exported() []table {
	var said []table
	for _, t := range tables() {
		if t.unsaid == "" {
			said = append(said, t)
		}
	}
	return said
}
