package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/harness"
)

// resource makes something over HTTP and returns its id.
func resource(t testing.TB, x *harness.Tenant, path, body string) uuid.UUID {
	t.Helper()
	var made struct{ ID uuid.UUID }
	x.Do(t, "POST", path, body).Want(t, 201, &made)
	return made.ID
}

func newAgent(t testing.TB, x *harness.Tenant, slug string) uuid.UUID {
	t.Helper()
	return resource(t, x, "/v1/agents", fmt.Sprintf(`{"slug": %[1]q, "name": %[1]q, "config": {"instructions": "x"}}`, slug))
}

// A schedule names what its tenant has, and nothing else: existence elsewhere is not revealed.
func TestSchedule_NamesOnlyWhatItsTenantHas(t *testing.T) {
	t.Parallel()
	_, p, x := scheduling(t)
	other := p.NewTenant(t, agents.Config{})
	workspaces := func(x *harness.Tenant) string { return "/v1/tenants/" + x.ID.String() + "/workspaces" }
	foreign := map[string]uuid.UUID{
		"thread_id": resource(t, other, "/v1/threads", `{}`), "workspace_id": resource(t, other, workspaces(other), `{"slug": "labs", "name": "Labs"}`),
		"agent": newAgent(t, other, "theirs"),
	}
	own := map[string]uuid.UUID{
		"thread_id": resource(t, x, "/v1/threads", `{}`), "workspace_id": resource(t, x, workspaces(x), `{"slug": "labs", "name": "Labs"}`),
		"agent": newAgent(t, x, "ours"),
	}
	made := createSchedule(t, x, yearly)
	for field := range foreign {
		for _, id := range []uuid.UUID{foreign[field], uuid.New()} {
			run := fmt.Sprintf(`"run": {"input": "go", %q: %q}`, field, id)
			for method, path := range map[string]string{"POST": "/v1/schedules", "PATCH": schedulePath(made.ID, "")} {
				body := `{` + run + `}`
				if method == "POST" {
					body = `{"name": "x", ` + yearly + `, ` + run + `}`
				}
				if p := askSchedule(t, x, method, path, body).WantProblem(t, 422, "validation_failed"); p.Errors[0].Field != "run."+field {
					t.Errorf("%s of %s %s: %+v", method, field, id, p.Errors)
				}
			}
		}
		createSchedule(t, x, `%s, "run": {"input": "go", %q: %q}`, yearly, field, own[field])
	}
}

// What a schedule needs is not deleted by mistake: the refusal names the schedules, and force deletes it all the same.
func TestDelete_NamesTheSchedulesThatUseIt(t *testing.T) {
	t.Parallel()
	_, _, x := scheduling(t)
	workspaces := "/v1/tenants/" + x.ID.String() + "/workspaces"
	agent, bySlug := newAgent(t, x, "by-id"), newAgent(t, x, "by-slug")
	thread, workspace := resource(t, x, "/v1/threads", `{}`), resource(t, x, workspaces, `{"slug": "labs", "name": "Labs"}`)
	for path, run := range map[string]string{
		"/v1/agents/" + agent.String(): fmt.Sprintf(`"agent": %q`, strings.ToUpper(agent.String())), "/v1/agents/" + bySlug.String(): `"agent": "by-slug"`,
		"/v1/threads/" + thread.String(): fmt.Sprintf(`"thread_id": %q`, thread), workspaces + "/" + workspace.String(): fmt.Sprintf(`"workspace_id": %q`, workspace),
	} {
		made := createSchedule(t, x, `%s, "run": {"input": "go", %s}`, yearly, run)
		if p := x.Do(t, "DELETE", path, nil).WantProblem(t, 409, "conflict"); !strings.Contains(p.Detail, made.ID.String()) || !strings.Contains(p.Detail, "force=true") {
			t.Errorf("DELETE %s: %s", path, p.Detail)
		}
		x.Do(t, "GET", path, nil).Want(t, 200)
		x.Do(t, "DELETE", path+"?force=true", nil).Want(t, 204)
		x.Do(t, "GET", path, nil).WantProblem(t, 404, "not_found")
	}
	heard := newAgent(t, x, "heard")
	endpoint := resource(t, x, "/v1/webhooks", fmt.Sprintf(`{"url": "https://example.com/hook", "events": ["run_completed"], "agent": %q}`, heard))
	if p := x.Do(t, "DELETE", "/v1/agents/"+heard.String(), nil).WantProblem(t, 409, "conflict"); !strings.Contains(p.Detail, endpoint.String()) {
		t.Errorf("an agent of a webhook: %s", p.Detail)
	}
	x.Do(t, "DELETE", "/v1/agents/"+heard.String()+"?force=true", nil).Want(t, 204)
	unused := newAgent(t, x, "unused")
	x.Do(t, "DELETE", "/v1/agents/"+unused.String(), nil).Want(t, 204)

	var assistant struct{ ID uuid.UUID }
	x.Do(t, "GET", "/v1/agents/assistant", nil).Want(t, 200, &assistant)
	last := createSchedule(t, x, yearly) // names no agent: that is assistant
	path := "/v1/agents/" + assistant.ID.String()
	x.Do(t, "DELETE", path, nil).WantProblem(t, 409, "conflict")
	askSchedule(t, x, "DELETE", schedulePath(last.ID, ""), nil).Want(t, 204)
	if p := x.Do(t, "DELETE", path, nil).WantProblem(t, 409, "conflict"); strings.Contains(p.Detail, last.ID.String()) {
		t.Errorf("a schedule that is gone is named: %s", p.Detail) // those of the thread and the workspace name no agent either
	}
}

// Times that nobody can mean, and spans that end before they begin, are refused wherever a time is taken.
func TestTimes_ThatNobodyMeansAreRefused(t *testing.T) {
	t.Parallel()
	_, _, x := scheduling(t)
	made := createSchedule(t, x, yearly)
	absurd := []string{"0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"}
	for _, at := range absurd {
		for _, query := range []string{
			"/v1/runs?created_after=", "/v1/runs?created_before=", "/v1/audit-logs?from=", "/v1/audit-logs?to=", "/v1/analytics/usage?from=", "/v1/analytics/usage?to=",
			schedulePath(made.ID, "/next?from="), schedulePath(made.ID, "/firings?from="), schedulePath(made.ID, "/firings?to="),
		} {
			askSchedule(t, x, "GET", query+at, nil).WantProblem(t, 400, "malformed_request")
		}
		for path, body := range map[string]string{
			"/v1/schedules":                              `{"name": "x", "run": {"input": "go"}, "spec": {"cron": ["@daily"], "end_at": %q}}`,
			"/v1/schedules/preview":                      `{"spec": {"cron": ["@daily"], "start_at": %q}}`,
			schedulePath(made.ID, "/skip"):               `{"at": %q}`,
			schedulePath(made.ID, "/backfill"):           `{"start": %q, "end": "2020-01-01T00:00:00Z"}`,
			"/v1/runs/cancel":                            `{"created_after": %q, "reason": "x"}`,
			"/v1/tenants/" + x.ID.String() + "/api-keys": `{"name": "x", "role": "viewer", "expires_at": %q}`,
		} {
			askSchedule(t, x, "POST", path, fmt.Sprintf(body, at)).WantProblem(t, 422, "validation_failed")
		}
	}
	askSchedule(t, x, "POST", "/v1/schedules/preview", `{"spec": {"cron": ["@daily"], "end_at": "9999-12-31T23:59:59Z"}}`).WantProblem(t, 422, "validation_failed")

	early, late := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339)
	for _, query := range []string{
		"/v1/runs?created_after=" + late + "&created_before=" + early, "/v1/audit-logs?from=" + late + "&to=" + early,
		"/v1/analytics/usage?from=" + late + "&to=" + early, schedulePath(made.ID, "/firings?from="+late+"&to="+early),
	} {
		askSchedule(t, x, "GET", query, nil).WantProblem(t, 422, "validation_failed")
	}
	x.Do(t, "POST", "/v1/runs/cancel", fmt.Sprintf(`{"created_after": %q, "created_before": %q, "reason": "x"}`, late, early)).WantProblem(t, 422, "validation_failed")
}
