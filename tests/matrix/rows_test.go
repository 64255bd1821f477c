package matrix

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/auth"
)

// shownBy names the route that shows the rows of a table.
var shownBy = map[string]string{
	"agent_runs": "/v1/runs", "run_events": "/v1/runs/{run_id}/events", "threads": "/v1/threads", "messages": "/v1/threads/{thread_id}/messages",
	"agents": "/v1/agents", "agent_versions": "/v1/agents/{agent_id}/versions",
	"schedules": "/v1/schedules", "schedule_firings": "/v1/schedules/{schedule_id}/firings",
	"webhook_endpoints": "/v1/webhooks", "deliveries": "/v1/webhooks/{webhook_id}/deliveries",
	"analytics_reports": "/v1/analytics/reports", "analytics_usage": "/v1/analytics/usage", "analytics_runs": "/v1/analytics/runs",
	"analytics_latency": "/v1/analytics/latency", "audit_logs": "/v1/audit-logs", "daemon_states": "/v1/control/daemon",
	"tenants": "/v1/tenants/{tenant_id}", "workspaces": "/v1/tenants/{tenant_id}/workspaces", "members": "/v1/tenants/{tenant_id}/members",
	"api_keys": "/v1/tenants/{tenant_id}/api-keys", "tenant_quotas": "/v1/tenants/{tenant_id}/quotas",
}

// TestRows_AreShownToWhomTheirRouteAnswers sends each member's token through the API, and through the database as a Supabase client
// does: where the one answers the other shows rows, and where it refuses there are none.
func TestRows_AreShownToWhomTheirRouteAnswers(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	x := st.newEstate(t)
	conn := st.system.Database.Conn(t)
	x.ids["tenant_id"] = x.ID.String()
	compared := 0
	for table, route := range shownBy {
		i := strings.Index(route, "{")
		path := route
		if i >= 0 {
			name := route[i+1 : strings.Index(route, "}")]
			path = strings.Replace(route, "{"+name+"}", x.ids[name], 1)
		}
		count := func() (n int) {
			if err := conn.QueryRow(t.Context(), `select count(*) from `+table).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		rows := count()
		if rows > 0 {
			compared++
		}
		for _, role := range roles() {
			if role == auth.RoleService {
				continue // it is another role of the database, which sees all
			}
			token := x.tokens[goodToken][role]
			answer, err := st.client.Try(t.Context(), http.MethodGet, path, nil, "Authorization", "Bearer "+token)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status != http.StatusOK && answer.Status != http.StatusForbidden && answer.Status != http.StatusNotFound {
				t.Fatalf("GET %s by %q: %d %s", path, role, answer.Status, answer.Body)
			}
			seen := rowsSeen(t, conn, table, token)
			isShown := answer.Status == http.StatusOK && rows > 0
			if (seen > 0) != isShown && rows == 0 { // what is rolled up in the background may have come meanwhile
				rows = count()
				isShown = answer.Status == http.StatusOK && rows > 0
			}
			if (seen > 0) != isShown {
				t.Errorf("%q sees %d of %d rows of %s, and GET %s answers %d", role, seen, rows, table, route, answer.Status)
			}
		}
	}
	if compared < 12 {
		t.Errorf("only %d tables had rows to compare", compared)
	}
}

// rowsSeen counts the rows that PostgREST would show to the token.
func rowsSeen(t *testing.T, conn *pgx.Conn, table, token string) (n int) {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), `select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)`, string(payload)); err != nil {
		t.Fatal(err)
	}
	if err := tx.QueryRow(t.Context(), `select count(*) from `+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
