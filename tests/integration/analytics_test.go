package integration

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/analytics"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// What runs used and how they ended is in the sums as soon as it is in the run, also of one that was stopped in
// the middle of a step.
func TestSumsAreThoseOfTheRuns(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{Rules: []fakellm.Rule{
		{Contains: "time", Turn: fakellm.FirstTurn, Reply: calls("current_time", `{}`)},
		{Contains: "wrong", Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 400}}},
		{Contains: "story", Reply: endless()},
	}, Default: says("Hello there.")})
	p := s.Start(t, harness.All)
	x, other := p.NewTenant(t, withTools("current_time")), p.NewTenant(t, agents.Config{})
	var all []uuid.UUID
	for _, input := range []string{"hello", "what time is it?", "this goes wrong"} {
		r := x.StartRun(t, map[string]any{"input": input})
		wholeLog(t, x, r.ID)
		all = append(all, r.ID)
	}
	story := x.StartRun(t, map[string]any{"input": "a story"})
	all = append(all, story.ID)
	x.Follow(t, story.ID, 0).Until(t, event.MessageDelta)
	x.Do(t, "POST", path(story.ID, "/cancel?wait=true"), `{}`).Want(t, 200)
	var want event.Usage
	for _, id := range all {
		r := x.FindRun(t, id)
		want = want.Add(r.Usage)
	}
	var usage analytics.Usage
	x.Do(t, "GET", "/v1/analytics/usage?group_by=agent_id&group_by=model", nil).Want(t, 200, &usage)
	if u := usage.Totals; u.InputTokens != want.InputTokens || u.OutputTokens != want.OutputTokens || !u.CostUSD.Equal(want.CostUSD) || want.OutputTokens == 0 || u.Steps != 3 {
		t.Errorf("the sums are %+v, the runs used %+v", u, want)
	}
	for _, row := range usage.Rows {
		if row.Model == nil || *row.Model == "" { // the story was stopped in its first step
			t.Errorf("tokens of no model: %+v", row)
		}
	}
	var runs analytics.Runs
	x.Do(t, "GET", "/v1/analytics/runs?bucket=total", nil).Want(t, 200, &runs)
	if f := runs.Totals; f.Created != 4 || f.Started != 4 || f.Completed != 2 || f.Failed != 1 || f.Cancelled != 1 || *f.ErrorRate != 0.25 ||
		len(f.Errors) != 1 || f.Errors[0] != (analytics.ErrorCount{Code: "model_error", Count: 1}) || f.Duration.Count != 4 || f.QueueWait.Count != 4 {
		t.Errorf("the runs are %+v", f)
	}
	var none analytics.Usage
	other.Do(t, "GET", "/v1/analytics/usage?bucket=day", nil).Want(t, 200, &none)
	if none.Totals.Steps != 0 || len(none.Rows) != 31 {
		t.Errorf("another tenant sees %+v in %d rows", none.Totals, len(none.Rows))
	}
	table := x.Do(t, "GET", "/v1/analytics/usage?group_by=agent_id&group_by=model&format=csv", nil)
	table.Want(t, 200)
	rows, err := csv.NewReader(strings.NewReader(string(table.Body))).ReadAll()
	if err != nil || len(rows) != len(usage.Rows)+1 {
		t.Errorf("%d rows of CSV, %d of JSON (error %v)", len(rows), len(usage.Rows), err)
	}
	x.Do(t, "GET", "/v1/platform/usage", nil).WantProblem(t, http.StatusForbidden, "forbidden")
	platform := *x
	platform.Token = harness.Token(t, x.ID, auth.RoleService)
	var across analytics.PlatformUsage
	platform.Do(t, "GET", "/v1/platform/usage?group_by=tenant_id", nil, "x-tenant-id", x.ID.String()).Want(t, 200, &across)
	found := ""
	for _, row := range across.Rows {
		if row.TenantID != nil && *row.TenantID == x.ID {
			found = fmt.Sprint(row.InputTokens, row.OutputTokens, row.Steps)
		}
	}
	if found != fmt.Sprint(want.InputTokens, want.OutputTokens, 3) {
		t.Errorf("across tenants it is %s, want %+v", found, want)
	}
}
