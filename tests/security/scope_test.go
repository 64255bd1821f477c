package security

import (
	"fmt"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/harness"
)

// issueKey makes an API key of the tenant over HTTP and gives the caller that uses it.
func issueKey(t *testing.T, x *harness.Tenant, body string) *harness.Tenant {
	t.Helper()
	var key struct {
		Secret string `json:"secret"`
	}
	x.Do(t, "POST", "/v1/tenants/"+x.ID.String()+"/api-keys", body).Want(t, 201, &key)
	caller := *x
	caller.Token = key.Secret
	return &caller
}

func TestScopes_DoNotEscapeThroughMembersSchedulesAndWebhooks(t *testing.T) {
	t.Parallel()
	p := harness.NewSystem(t).Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	schedule := map[string]any{"name": "s", "spec": map[string]any{"cron": []string{"0 0 1 1 *"}}, "run": map[string]any{"input": "hello"}}
	permanent := madeAt(t, x, "/v1/schedules", `{"name": "p", "spec": {"cron": ["0 0 1 1 *"]}, "run": {"input": "hello"}}`)
	ended := x.StartRun(t, map[string]any{"input": "hello"})
	x.Follow(t, ended.ID, 0).Rest(t)
	member := "/v1/tenants/" + x.ID.String() + "/members/eve"

	narrow := issueKey(t, x, `{"name": "tenant", "role": "owner", "scopes": ["tenant:manage", "tenant:read"]}`)
	narrow.Do(t, "PUT", member, `{"role": "owner"}`).WantProblem(t, 403, "forbidden")
	narrow.Do(t, "PUT", member, `{"role": "viewer"}`).WantProblem(t, 403, "forbidden")
	x.Do(t, "GET", member, nil).WantProblem(t, 404, "not_found")

	manages := issueKey(t, x, `{"name": "agents", "role": "admin", "scopes": ["agent:manage"]}`)
	manages.Do(t, "POST", "/v1/schedules", schedule).WantProblem(t, 403, "forbidden")
	manages.Do(t, "POST", "/v1/schedules/"+permanent+"/trigger", `{}`).WantProblem(t, 403, "forbidden")
	manages.Do(t, "POST", "/v1/webhooks", map[string]any{"url": "https://example.com/hook", "events": []string{"run_completed"}}).WantProblem(t, 403, "forbidden")
	manages.Do(t, "POST", "/v1/schedules/"+permanent+"/pause", `{}`).Want(t, 200) // which takes away
	both := issueKey(t, x, `{"name": "both", "role": "admin", "scopes": ["agent:manage", "run:create"]}`)
	both.Do(t, "POST", "/v1/schedules", schedule).Want(t, 201)

	updates := issueKey(t, x, `{"name": "runs", "role": "operator", "scopes": ["run:update", "run:read"]}`)
	retry := fmt.Sprintf("/v1/runs/%s/retry", ended.ID)
	updates.Do(t, "POST", retry, `{}`).WantProblem(t, 403, "forbidden")
	creates := issueKey(t, x, `{"name": "retries", "role": "operator", "scopes": ["run:update", "run:create"]}`)
	creates.Do(t, "POST", retry, `{}`).Want(t, 202)
	creates.Do(t, "POST", "/v1/runs", `{"input": "hello", "webhook_url": "https://example.com/hook"}`).WantProblem(t, 403, "forbidden")
}

func TestKeyThatEnds_GrantsNothingLonger(t *testing.T) {
	t.Parallel()
	p := harness.NewSystem(t).Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	end := time.Now().Add(time.Hour).UTC()
	at := func(d time.Duration) string { return end.Add(d).Format(time.RFC3339) }
	ends := issueKey(t, x, fmt.Sprintf(`{"name": "short", "role": "owner", "expires_at": %q}`, at(0)))
	permanent := madeAt(t, x, "/v1/schedules", `{"name": "p", "paused": true, "spec": {"cron": ["0 0 1 1 *"]}, "run": {"input": "hello"}}`)
	schedule := func(end string) map[string]any {
		spec := map[string]any{"cron": []string{"*/5 * * * *"}}
		if end != "" {
			spec["end_at"] = end
		}
		return map[string]any{"name": "s", "spec": spec, "run": map[string]any{"input": "hello"}}
	}
	ends.Do(t, "PUT", "/v1/tenants/"+x.ID.String()+"/members/eve", `{"role": "viewer"}`).WantProblem(t, 403, "forbidden")
	ends.Do(t, "POST", "/v1/schedules", schedule("")).WantProblem(t, 403, "forbidden")
	ends.Do(t, "POST", "/v1/schedules", schedule(at(time.Minute))).WantProblem(t, 403, "forbidden")
	var own struct {
		ID string `json:"id"`
	}
	ends.Do(t, "POST", "/v1/schedules", schedule(at(-time.Minute))).Want(t, 201, &own)
	ends.Do(t, "PATCH", "/v1/schedules/"+own.ID, map[string]any{"spec": schedule("")["spec"]}).WantProblem(t, 403, "forbidden")
	ends.Do(t, "PATCH", "/v1/schedules/"+own.ID, `{"name": "renamed"}`).Want(t, 200)
	ends.Do(t, "PATCH", "/v1/schedules/"+permanent, `{"run": {"input": "other"}}`).WantProblem(t, 403, "forbidden")
	ends.Do(t, "POST", "/v1/schedules/"+permanent+"/resume", `{}`).WantProblem(t, 403, "forbidden")
	x.Do(t, "POST", "/v1/schedules/"+permanent+"/resume", `{}`).Want(t, 200) // a token's holder has a membership
}
