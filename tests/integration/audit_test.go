package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/tests/harness"
)

func trailOf(t *testing.T, x *harness.Tenant, query string) []audit.Record {
	t.Helper()
	var p struct{ Items []audit.Record }
	x.Do(t, "GET", "/v1/audit-logs?limit=200&"+query, nil).Want(t, 200, &p)
	return p.Items
}

func wantSound(t *testing.T, x *harness.Tenant) audit.Verdict {
	t.Helper()
	var v audit.Verdict
	x.Do(t, "GET", "/v1/audit-logs/verify", nil).Want(t, 200, &v)
	if !v.Valid {
		t.Fatalf("the chain is judged %+v, broken: %+v", v, v.Broken)
	}
	return v
}

// call is what the data of an API call's row says.
type call struct {
	Method   string `json:"method"`
	Route    string `json:"route"`
	Status   int    `json:"status"`
	Code     string `json:"code"`
	Replayed bool   `json:"replayed"`
}

func TestRequestsAreInTheTrail(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	stranger := p.NewTenant(t, agents.Config{})
	viewer := *x
	viewer.Token = harness.Token(t, x.ID, auth.RoleViewer)
	const private = "what a request carried"

	var agent struct{ ID uuid.UUID }
	x.Do(t, "POST", "/v1/agents", fmt.Sprintf(`{"slug": "a", "name": %q}`, private), "X-Request-Id", "make", "Idempotency-Key", "k", "X-Forwarded-For", "198.51.100.7").Want(t, 201, &agent)
	x.Do(t, "POST", "/v1/agents", fmt.Sprintf(`{"slug": "a", "name": %q}`, private), "X-Request-Id", "again", "Idempotency-Key", "k").Want(t, 201)
	x.Do(t, "POST", "/v1/agents", `{"slug": "a", "name": "A"}`, "X-Request-Id", "taken").Want(t, 409)
	x.Do(t, "POST", "/v1/agents", `{"slug": "", "name": "A"}`, "X-Request-Id", "rule").Want(t, 422)
	x.Do(t, "PATCH", "/v1/agents/"+agent.ID.String(), `{"name": "B"}`, "X-Request-Id", "change").Want(t, 200)
	stranger.Do(t, "DELETE", "/v1/agents/"+agent.ID.String(), nil, "X-Request-Id", "steal").Want(t, 404)
	stranger.Do(t, "DELETE", "/v1/agents/"+agent.ID.String(), nil, "X-Request-Id", "cross", "X-Tenant-Id", x.ID.String()).Want(t, 403)
	viewer.Do(t, "DELETE", "/v1/agents/"+agent.ID.String(), nil, "X-Request-Id", "forbidden").Want(t, 403)
	x.Do(t, "DELETE", "/v1/agents/"+agent.ID.String(), nil, "X-Request-Id", "remove").Want(t, 204)
	r := x.StartRun(t, `{"input": "`+private+`"}`)
	wholeLog(t, x, r.ID)
	stream := x.OpenRun(t, `{"input": "hello"}`)
	streamed := stream.Rest(t)[0].RunID
	x.Do(t, "POST", "/v1/runs/"+r.ID.String()+"/cancel", nil, "X-Request-Id", "late").Want(t, 409)

	wants := map[string]struct {
		action, kind, id, outcome string
		call                      call
	}{
		"make":      {"createAgent", "agent", agent.ID.String(), "success", call{Method: "POST", Route: "/v1/agents", Status: 201}},
		"again":     {"createAgent", "agent", agent.ID.String(), "success", call{Method: "POST", Route: "/v1/agents", Status: 201, Replayed: true}},
		"taken":     {"createAgent", "agent", "", "refused", call{Method: "POST", Route: "/v1/agents", Status: 409, Code: "conflict"}},
		"rule":      {"createAgent", "agent", "", "refused", call{Method: "POST", Route: "/v1/agents", Status: 422, Code: "validation_failed"}},
		"change":    {"updateAgent", "agent", agent.ID.String(), "success", call{Method: "PATCH", Route: "/v1/agents/{agent_id}", Status: 200}},
		"forbidden": {"deleteAgent", "agent", agent.ID.String(), "refused", call{Method: "DELETE", Route: "/v1/agents/{agent_id}", Status: 403, Code: "forbidden"}},
		"remove":    {"deleteAgent", "agent", agent.ID.String(), "success", call{Method: "DELETE", Route: "/v1/agents/{agent_id}", Status: 204}},
		"late":      {"cancelRun", "run", r.ID.String(), "refused", call{Method: "POST", Route: "/v1/runs/{run_id}/cancel", Status: 409, Code: "run_final"}},
	}
	for request, want := range wants {
		harness.Eventually(t, within, request+" is in the trail", func() bool { return len(trailOf(t, x, "request_id="+request)) > 0 })
		rows := trailOf(t, x, "request_id="+request)
		got := rows[0]
		var c call
		must(t, json.Unmarshal(got.Data, &c))
		if len(rows) != 1 || got.Actor != actor || got.Action != want.action || got.ResourceType != want.kind || got.ResourceID != want.id ||
			got.Outcome != want.outcome || c != want.call || got.ClientIP != "127.0.0.1" || got.TenantID != x.ID {
			t.Errorf("%s: %d rows, %+v %s", request, len(rows), got, got.Data)
		}
	}
	if rows := trailOf(t, x, "request_id=cross"); len(rows) > 0 {
		t.Errorf("a stranger writes into the trail: %+v", rows)
	}
	if rows := trailOf(t, stranger, ""); len(rows) != 1 || rows[0].RequestID != "steal" {
		t.Errorf("the stranger's trail is %+v", rows)
	}
	for id, operation := range map[uuid.UUID]string{r.ID: "createRun", streamed: "createRunAndStream"} {
		of := "resource_type=run&outcome=success&resource_id=" + id.String()
		harness.Eventually(t, within, "request, start and end of the run are in the trail", func() bool { return len(trailOf(t, x, of)) == 3 })
		if len(trailOf(t, x, of+"&action="+operation)) != 1 {
			t.Errorf("the trail of run %s is %+v", id, trailOf(t, x, of))
		}
	}
	wantSound(t, x)
	wantSound(t, stranger)
	for _, format := range []string{"ndjson", "csv"} {
		if body := string(x.Do(t, "GET", "/v1/audit-logs/export?format="+format, nil).Body); strings.Contains(body, private) ||
			strings.Count(body, "\n") < len(wants)+6 {
			t.Errorf("the export holds what a request carried, or too little: %s", body)
		}
	}
}

// Several processes take requests down for one tenant at the same time.
func TestProcessesShareAChain(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	var urls []string
	var x *harness.Tenant
	for range 3 {
		p := s.Start(t, app.Options{API: true})
		if x == nil {
			x = p.NewTenant(t, agents.Config{})
		}
		urls = append(urls, p.URL)
	}
	const writers, each = 6, 20
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			at := *x
			at.URL = urls[w%len(urls)]
			for n := range each {
				body := fmt.Sprintf(`{"title": "%d-%d"}`, w, n)
				if a, err := at.Try(t.Context(), "POST", "/v1/threads", body); err != nil || a.Status != 201 {
					t.Errorf("%d %s: %v", a.Status, a.Body, err)
				}
			}
		})
	}
	all.Wait()
	// What was answered with 201 is in the trail by then.
	if v := wantSound(t, x); v.Position != writers*each {
		t.Errorf("the chain has %d rows, want %d", v.Position, writers*each)
	}
}
