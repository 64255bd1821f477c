package security

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// estate is one tenant with one thing of every kind, at rest: its run waits for an approval.
type estate struct {
	*harness.Tenant
	ids map[string]string // by the placeholder that the routes use
}

var asks = fakellm.Rule{Contains: "sum", Turn: fakellm.FirstTurn, Reply: fakellm.Reply{ToolCalls: []fakellm.ToolCall{{Name: "calculator", Arguments: `{"expression":"2+3"}`}}}}

func newEstate(t *testing.T, p *harness.Process) estate {
	t.Helper()
	x := p.NewTenant(t, agents.Config{Tools: []agents.ToolRef{{Name: "calculator", NeedsApproval: true}}})
	var thread, agent struct {
		ID string `json:"id"`
	}
	x.Do(t, "POST", "/v1/threads", `{"title": "private"}`).Want(t, 201, &thread)
	x.Do(t, "GET", "/v1/agents/assistant", nil).Want(t, 200, &agent)
	webhook := newWebhook(t, x)
	r := x.StartRun(t, map[string]any{"input": "the sum, please", "thread_id": thread.ID})
	events := x.Follow(t, r.ID, 0).Until(t, event.ApprovalRequested)
	approval := harness.Payload[event.ApprovalAsked](t, events[len(events)-1]).ApprovalID
	return estate{x, map[string]string{
		"run_id": r.ID.String(), "approval_id": approval.String(), "thread_id": thread.ID, "agent_id": agent.ID, "version": "1",
		"webhook_id": webhook, "delivery_id": delivered(t, x, webhook),
		"tenant_id": x.ID.String(), "workspace_id": made(t, x, "workspaces", `{"slug": "private"}`), "key_id": made(t, x, "api-keys", `{"name": "private", "role": "viewer"}`),
		"user_id": "tester", "report_id": madeAt(t, x, "/v1/analytics/reports", `{"name": "private", "kind": "usage", "query": {}}`),
		"schedule_id": madeAt(t, x, "/v1/schedules", `{"name": "private", "spec": {"cron": ["0 0 1 1 *"]}, "run": {"input": "private"}}`),
	}}
}

// newWebhook registers a receiver that hears of the start of runs.
func newWebhook(t *testing.T, x *harness.Tenant) string {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	var made struct {
		ID string `json:"id"`
	}
	x.Do(t, "POST", "/v1/webhooks", map[string]any{"url": receiver.URL, "events": []string{"run_started"}}).Want(t, 201, &made)
	return made.ID
}

// made makes a thing of the tenant itself.
func made(t *testing.T, x *harness.Tenant, family, body string) string {
	t.Helper()
	return madeAt(t, x, "/v1/tenants/"+x.ID.String()+"/"+family, body)
}

func madeAt(t *testing.T, x *harness.Tenant, path, body string) string {
	t.Helper()
	var thing struct {
		ID string `json:"id"`
	}
	x.Do(t, "POST", path, body).Want(t, 201, &thing)
	return thing.ID
}

// shared are the placeholders whose values are not one tenant's: a version is a number, and a user may belong
// to several.
var shared = map[string]bool{"version": true, "user_id": true}

// delivered gives the webhook's one delivery, once it is at rest.
func delivered(t *testing.T, x *harness.Tenant, webhook string) (id string) {
	t.Helper()
	harness.Eventually(t, 30*time.Second, "the webhook is delivered", func() bool {
		var page struct {
			Items []struct {
				ID     string `json:"id"`
				Status string `json:"status"`
			} `json:"items"`
		}
		x.Do(t, "GET", "/v1/webhooks/"+webhook+"/deliveries", nil).Want(t, 200, &page)
		if len(page.Items) == 1 && page.Items[0].Status == "delivered" {
			id = page.Items[0].ID
		}
		return id != ""
	})
	return id
}

// rows is everything that the database holds of the tenant, whatever tables there are; but for the audit
// trail, which a refusal makes longer, and the sums of analytics, which facts move into by themselves.
func (e estate) rows(t *testing.T, s *harness.System) string {
	t.Helper()
	conn := s.Database.Conn(t)
	rows, err := conn.Query(t.Context(), `select table_name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
		where table_schema = 'public' and column_name = 'tenant_id' and table_type = 'BASE TABLE' and table_name not like 'audit%'
		and table_name not in ('analytics_pending', 'analytics_usage', 'analytics_runs', 'analytics_latency') order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	var all strings.Builder
	for _, table := range tables {
		var content string
		if err := conn.QueryRow(t.Context(), fmt.Sprintf(`select coalesce(string_agg(x::text, E'\n' order by x::text), '') from %s x where tenant_id = $1`, table), e.ID).Scan(&content); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s\n%s\n", table, content)
	}
	if len(tables) < 8 {
		t.Fatalf("only the tables %v have a tenant", tables)
	}
	return all.String()
}

// anonymous takes out what may differ between two refusals: the ids.
func anonymous(a harness.Answer, ids map[string]string) string {
	var p struct{ Instance string }
	a.Want(&testing.T{}, a.Status, &p)
	text := strings.ReplaceAll(string(a.Body), p.Instance, "REQUEST")
	for name, id := range ids {
		if !shared[name] {
			text = strings.ReplaceAll(text, id, "ID")
		}
	}
	return text
}

// TestAnotherTenantsThings calls every route that takes an id with another tenant's. The answer is 404,
// word for word that for an id that nobody has, and nothing changes.
func TestAnotherTenantsThings(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, asks)
	p := s.Start(t, harness.All)
	a, b := newEstate(t, p), newEstate(t, p)
	nothing := map[string]string{"version": "1", "user_id": "tester"}
	for name := range a.ids {
		if !shared[name] {
			nothing[name] = uuid.Must(uuid.NewV7()).String()
		}
	}
	before := a.rows(t, s)
	tried := 0
	for _, o := range operations(t, b.Tenant) {
		if !placeholder.MatchString(o.path) {
			continue
		}
		tried++
		foreign := b.Do(t, o.method, o.fill(t, a.ids), o.body)
		wantWellFormed(t, o.name(), foreign)
		if foreign.Status != 404 {
			t.Errorf("%s with another tenant's ids: %d %s", o.name(), foreign.Status, foreign.Body)
			continue
		}
		absent := b.Do(t, o.method, o.fill(t, nothing), o.body)
		if x, y := anonymous(foreign, a.ids), anonymous(absent, nothing); x != y {
			t.Errorf("%s tells another tenant's thing from none:\n%s\n%s", o.name(), x, y)
		}
		// Naming the other tenant does not help.
		named := b.Do(t, o.method, o.fill(t, a.ids), o.body, "x-tenant-id", a.ID.String())
		named.WantProblem(t, 403, "forbidden")
		// Nor does a mixture: one's own run with another's approval.
		for own := range a.ids {
			if shared[own] || !strings.Contains(o.path, "{"+own+"}") || strings.Count(o.path, "{") < 2 || strings.Contains(o.path, "{version}") || strings.Contains(o.path, "{user_id}") {
				continue
			}
			mixed := map[string]string{}
			for name, id := range a.ids {
				mixed[name] = id
			}
			mixed[own] = b.ids[own]
			if m := b.Do(t, o.method, o.fill(t, mixed), o.body); m.Status != 404 {
				t.Errorf("%s with one's own %s: %d %s", o.name(), own, m.Status, m.Body)
			}
		}
	}
	if tried < 12 {
		t.Errorf("only %d routes take an id", tried)
	}
	if after := a.rows(t, s); after != before {
		t.Errorf("the other tenant's rows changed:\n%s\nwere\n%s", after, before)
	}
}

// TestAnotherTenantsThingsByReference names them in bodies and filters.
func TestAnotherTenantsThingsByReference(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, asks)
	p := s.Start(t, harness.All)
	a, b := newEstate(t, p), newEstate(t, p)
	var workspace string
	if err := s.Database.Conn(t).QueryRow(t.Context(), `select id::text from workspaces where tenant_id = $1`, a.ID).Scan(&workspace); err != nil {
		t.Fatal(err)
	}
	before := a.rows(t, s)
	for field, id := range map[string]string{"agent": a.ids["agent_id"], "thread_id": a.ids["thread_id"], "workspace_id": workspace} {
		for _, path := range []string{"/v1/runs", "/v1/runs/stream", "/v1/runs/wait"} {
			answer := b.Do(t, "POST", path, map[string]any{"input": "hello", field: id})
			problem := answer.WantProblem(t, 422, "validation_failed")
			if len(problem.Errors) != 1 || problem.Errors[0].Field != field {
				t.Errorf("%s %s: %s", path, field, answer.Body)
			}
		}
	}
	for _, filter := range []string{"agent_id=" + a.ids["agent_id"], "thread_id=" + a.ids["thread_id"], "workspace_id=" + workspace} {
		var found struct{ Items []any }
		b.Do(t, "GET", "/v1/runs?"+filter, nil).Want(t, 200, &found)
		if len(found.Items) != 0 {
			t.Errorf("%s shows %v", filter, found.Items)
		}
	}
	for _, path := range []string{"/v1/runs", "/v1/threads", "/v1/agents"} {
		answer := b.Do(t, "GET", path, nil)
		answer.Want(t, 200)
		for name, id := range a.ids {
			if !shared[name] && strings.Contains(string(answer.Body), id) {
				t.Errorf("%s shows another tenant's %s", path, name)
			}
		}
	}
	if after := a.rows(t, s); after != before {
		t.Errorf("the other tenant's rows changed:\n%s\nwere\n%s", after, before)
	}
}

func TestTenantHeader(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	a, b := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	for name, c := range map[string]struct {
		header []string
		status int
		code   string
	}{
		"absent":        {nil, 200, ""},
		"own":           {[]string{a.ID.String()}, 200, ""},
		"own, capitals": {[]string{strings.ToUpper(a.ID.String())}, 200, ""},
		"foreign":       {[]string{b.ID.String()}, 403, "forbidden"},
		"of nobody":     {[]string{uuid.NewString()}, 403, "forbidden"},
		"empty":         {[]string{""}, 400, "malformed_request"},
		"a word":        {[]string{"acme"}, 400, "malformed_request"},
		"nil":           {[]string{uuid.Nil.String()}, 400, "malformed_request"},
		"dashless":      {[]string{strings.ReplaceAll(a.ID.String(), "-", "")}, 400, "malformed_request"},
		"urn":           {[]string{"urn:uuid:" + a.ID.String()}, 400, "malformed_request"},
		"a list":        {[]string{a.ID.String() + ", " + b.ID.String()}, 400, "malformed_request"},
		"repeated":      {[]string{a.ID.String(), a.ID.String()}, 400, "malformed_request"},
		"two":           {[]string{a.ID.String(), b.ID.String()}, 400, "malformed_request"},
		"with SQL":      {[]string{"' or 1=1 --"}, 400, "malformed_request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{"/v1/runs", "/v1/agents", "/v1/runs/" + uuid.NewString()} {
				answer := send(t, a, "GET", path, "", map[string][]string{"x-tenant-id": c.header})
				wantWellFormed(t, path, answer)
				if c.status != 200 {
					answer.WantProblem(t, c.status, c.code)
					continue
				}
				if answer.Status >= 400 && answer.Status != 404 {
					t.Errorf("%s: %d %s", path, answer.Status, answer.Body)
				}
				if got := answer.Header.Get("x-tenant-id"); got != a.ID.String() {
					t.Errorf("%s: the answer is for the tenant %q", path, got)
				}
			}
		})
	}
}
