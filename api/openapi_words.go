package api

import (
	"slices"
	"strings"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

// tagRank orders the families as a newcomer meets them: what is used first comes first.
func tagRank(tag string) int {
	order := []string{
		tagRuns, tagAgents, "threads", "schedules", tagWebhooks, "tenants", "quotas", "analytics", tagMetrics, tagAudit, "control", "runtime", "health",
	}
	if i := slices.Index(order, tag); i >= 0 {
		return i
	}
	return len(order)
}

// tagWords says what a family of routes is about; "" for one that is not known, which a test refuses.
func tagWords(tag string) string {
	switch tag {
	case tagAgents:
		return "Named, versioned configurations: model, instructions, tools, limits. A run keeps the version that it began with."
	case "analytics":
		return "What was used and how runs went, by time, agent and model; saved reports and exports."
	case tagAudit:
		return "Who did what: an append-only, hash-chained trail per tenant, with the proof that nothing was taken out."
	case "control":
		return "The machinery: workers, backlog, pauses; pause, drain and resume what begins new runs."
	case "health":
		return "Probes for load balancers and orchestrators. They need no credential."
	case tagMetrics:
		return "What the process that answers measured: quantiles of the last minutes, and everything for Prometheus."
	case "quotas":
		return "Limits of a tenant: what is allowed, what is used, when it is free again."
	case tagRuns:
		return "A run is one execution of an agent. Start it, follow its events, speak to it, answer its questions, stop it."
	case "runtime":
		return "The engine's own view of runs: workflow, task queue, attempts, history."
	case "schedules":
		return "Runs at set times: cron or intervals in a time zone, with overlap policy, catch-up, pause and backfill."
	case "tenants":
		return "Customers of the platform, with their workspaces, members and API keys."
	case "threads":
		return "Conversations. A run on a thread is shown the messages before it, and adds its own."
	case tagWebhooks:
		return "Receivers that are told of runs, with signatures (Standard Webhooks), retries and a log of every attempt."
	}
	return ""
}

// permissionWords says what a permission lets its holder do; "" for one that nobody has described, which a
// test refuses.
func permissionWords(p auth.Permission) string {
	switch p {
	case auth.RunCreate:
		return "start runs and open threads"
	case auth.RunRead:
		return "see runs, their events and streams, threads and messages"
	case auth.RunUpdate:
		return "cancel runs, send messages into them, answer approvals, change threads"
	case auth.AgentRead:
		return "see agents and their versions"
	case auth.AgentManage:
		return "make and change agents, schedules and webhooks; pause and resume"
	case auth.KnowledgeRead:
		return "search knowledge"
	case auth.KnowledgeManage:
		return "add and remove knowledge"
	case auth.ToolRead:
		return "see tools"
	case auth.ToolManage:
		return "make and change tools"
	case auth.AnalyticsRead:
		return "see usage, counts, latencies and metrics"
	case auth.AnalyticsManage:
		return "make and change saved reports"
	case auth.TenantRead:
		return "see the tenant, its workspaces, members, quotas and the names of its API keys"
	case auth.TenantManage:
		return "change the tenant, its workspaces, members, quotas and API keys, and delete it"
	case auth.AuditRead:
		return "see, export and verify the audit trail"
	case auth.PlatformManage:
		return "what concerns more than one tenant: the platform's own"
	case auth.ServiceOnly: // no route has it
	case auth.Public:
		return "nothing that would need to be permitted"
	}
	return ""
}

// permissionView is a permission as the description lists it, under x-permissions.
type permissionView struct {
	Description string      `json:"description"`
	Roles       []auth.Role `json:"roles"`
}

func permissionViews() map[auth.Permission]permissionView {
	views := map[auth.Permission]permissionView{}
	for _, p := range auth.Permissions() {
		v := permissionView{Description: permissionWords(p)}
		for _, role := range auth.Roles() {
			if role.Can(p) {
				v.Roles = append(v.Roles, role)
			}
		}
		views[p] = v
	}
	return views
}

// bearerWords is the description of the security scheme, with all permissions in a table.
func bearerWords() string {
	var b strings.Builder
	b.WriteString("A token of Supabase Auth, or an API key (lari_…). The scopes of an operation are the permission that it needs, " +
		"which the caller's role in the tenant grants. An API key may be narrowed to some of its role's permissions.\n\n" +
		"| permission | lets its holder | lowest role |\n|---|---|---|\n")
	for _, p := range auth.Permissions() {
		lowest := auth.Role("")
		for _, role := range auth.Roles() {
			if lowest == "" && role.Can(p) {
				lowest = role
			}
		}
		b.WriteString("| `" + string(p) + "` | " + permissionWords(p) + " | " + string(lowest) + " |\n")
	}
	return b.String()
}

// problemSample is a problem of each code as it might be met.
func problemSample(code fault.Code) Problem {
	t, _ := translate(code)
	p := Problem{
		Type: "/problems/" + string(code), Title: t.title, Status: t.status, Code: code, Instance: sampleID, Detail: t.title + ".",
	}
	switch code {
	case fault.Malformed:
		p.Detail = "The body is not valid JSON: unexpected character at byte 12."
	case fault.Unauthenticated:
		p.Detail = "no credential: send Authorization: Bearer <token> or X-API-Key: <key>"
	case fault.Forbidden:
		p.Detail = "This needs the permission " + string(auth.AgentManage) + "."
	case fault.NotFound:
		p.Detail = "There is no run " + sampleID + "."
	case fault.RunFinal:
		p.Detail = "The run has ended: it is completed."
	case fault.TooLarge:
		p.Detail = "The body is over the limit of this server."
	case fault.UnsupportedMedia:
		p.Detail = "The body must be JSON: send it with Content-Type: application/json."
	case fault.Invalid:
		p.Detail = "budget.max_steps must be at least 1"
		p.Errors = []fault.Field{{Field: "budget.max_steps", Rule: "min", Message: "must be at least 1"}}
	case fault.IdempotencyMismatch:
		p.Detail = "The Idempotency-Key was used with another request."
	case fault.Internal:
		p.Detail = internalDetail
	case fault.TenantSuspended, fault.MethodNotAllowed, fault.Conflict, fault.ThreadBusy, fault.IdempotencyBusy, fault.RateLimited,
		fault.QuotaExceeded, fault.Paused, fault.Unavailable, fault.Timeout, fault.Cancelled:
	}
	return p
}
