package api

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/analytics"
	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// analysing serves the analytics family over a database.
func analysing(t *testing.T) (*rig, *pgtest.Database) {
	t.Helper()
	db := pgtest.New(t)
	log := slog.New(slog.DiscardHandler)
	r := start(t, AnalyticsRoutes(analytics.NewService(db.DB, log)), func(d *Deps) { d.Keys = idempotency.New(db.DB, log) })
	_, r.tenant = db.Tenant(t, "acme")
	return r, db
}

// used writes a row of the rollup.
func used(t *testing.T, db *pgtest.Database, tenant uuid.UUID, at time.Time, agent uuid.UUID, model string, tokens int) {
	t.Helper()
	_, err := db.Conn(t).Exec(t.Context(), `insert into analytics_usage
		select $1, grain, lari.cell_of($2, grain), $3, $4, $5, 1, 0, $6, $6, 0.5 from unnest(array[15, 180, 1440]) grain
		on conflict (tenant_id, grain, at, agent_id, workspace_id, model) do nothing`, tenant, at, agent, uuid.Nil, model, tokens)
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) get(t *testing.T, path string, into any) answer {
	t.Helper()
	a := r.do(t, request{method: "GET", path: path, role: auth.RoleViewer})
	if a.status != 200 {
		t.Fatalf("%s: %d %s", path, a.status, a.body)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(a.body), into); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func TestCSVHoldsTheRowsOfJSON(t *testing.T) {
	t.Parallel()
	r, db := analysing(t)
	at := time.Date(2026, 3, 1, 10, 20, 0, 0, time.UTC)
	agent := uuid.New()
	for i, model := range []string{"small", "@cf/large", "=1+1", `a "quoted", one`, "-x", "+1"} {
		used(t, db, r.tenant, at.Add(time.Duration(i)*time.Hour), agent, model, i+1)
	}
	path := "/v1/analytics/usage?from=2026-03-01T00:00:00Z&to=2026-03-01T20:00:00Z&bucket=hour&group_by=model&group_by=agent_id"
	var u analytics.Usage
	r.get(t, path, &u)
	if len(u.Rows) != 20*6 || u.Totals.InputTokens != 21 || u.Totals.CostUSD.String() != "3" {
		t.Fatalf("%d rows, %+v", len(u.Rows), u.Totals)
	}
	a := r.get(t, path+"&format=csv", nil)
	if kind := a.header.Get("Content-Type"); kind != "text/csv; charset=utf-8" || a.header.Get("Content-Disposition") != `attachment; filename="usage.csv"` || !strings.Contains(a.body, "\r\n") {
		t.Errorf("it is %q", kind)
	}
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || len(rows) != len(u.Rows)+1 {
		t.Fatalf("%d rows (error %v)", len(rows), err)
	}
	for i, row := range rows[1:] {
		want := u.Rows[i]
		model := row[4]
		if strings.ContainsAny(model[:1], "=+-@") {
			t.Errorf("the cell %q is a formula", model)
		}
		if at, err := time.Parse(time.RFC3339, row[0]); err != nil || !at.Equal(want.Start.Time) {
			t.Errorf("row %d begins at %s, want %v", i, row[0], want.Start)
		}
		if strings.TrimPrefix(model, "'") != *want.Model || row[2] != want.AgentID.String() || row[3] != "" ||
			row[7] != fmt.Sprint(want.InputTokens) || row[9] != want.CostUSD.String() {
			t.Errorf("row %d is %v, want %+v", i, row, want)
		}
	}
	for _, kind := range []string{"runs", "latency"} {
		var j struct {
			Rows []json.RawMessage `json:"rows"`
		}
		r.get(t, "/v1/analytics/"+kind, &j)
		rows, err := csv.NewReader(strings.NewReader(r.get(t, "/v1/analytics/"+kind+"?format=csv", nil).body)).ReadAll()
		if err != nil || len(rows) != len(j.Rows)+1 || len(j.Rows) != 25 {
			t.Errorf("%s: %d rows of CSV, %d of JSON (error %v)", kind, len(rows), len(j.Rows), err)
		}
	}
}

func TestGapsAndZones(t *testing.T) {
	t.Parallel()
	r, db := analysing(t)
	used(t, db, r.tenant, time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC), uuid.New(), "m", 1)  // 25 October in Berlin: its first hour
	used(t, db, r.tenant, time.Date(2026, 10, 25, 22, 59, 0, 0, time.UTC), uuid.New(), "m", 2) // and its last
	used(t, db, r.tenant, time.Date(2026, 10, 25, 23, 0, 0, 0, time.UTC), uuid.New(), "m", 4)
	for zone, want := range map[string]string{"Europe/Berlin": "[0 3 4 0]", "Asia/Jakarta": "[0 1 6 0]", "Asia/Kathmandu": "[0 1 6 0]", "UTC": "[1 6 0 0]"} {
		var u analytics.Usage
		r.get(t, "/v1/analytics/usage?"+url.Values{
			"bucket": {"day"}, "time_zone": {zone}, "from": {"2026-10-24T12:00:00Z"}, "to": {"2026-10-27T12:00:00Z"},
		}.Encode(), &u)
		var got []int64
		for _, row := range u.Rows {
			got = append(got, row.InputTokens)
		}
		if fmt.Sprint(got) != want || u.TimeZone != zone {
			t.Errorf("%s: %v, want %s", zone, got, want)
		}
	}
	var other analytics.Usage
	_, r.tenant = db.Tenant(t, "other")
	r.get(t, "/v1/analytics/usage?from=2026-10-24T12:00:00Z&to=2026-10-27T12:00:00Z&group_by=model", &other)
	if len(other.Rows) != 0 || other.Totals.Steps != 0 {
		t.Errorf("another tenant sees %+v", other)
	}
}

func TestQuestionsThatHaveNoAnswer(t *testing.T) {
	t.Parallel()
	r, db := analysing(t)
	for i := range 15 {
		used(t, db, r.tenant, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), uuid.New(), fmt.Sprint("m", i), 1)
	}
	for query, code := range map[string]fault.Code{
		"usage?from=yesterday":                                    fault.Malformed,
		"usage?from=2026-03-02T00:00:00Z&last=1d":                 fault.Invalid,
		"usage?last=1":                                            fault.Invalid,
		"usage?last=0d":                                           fault.Invalid,
		"usage?last=9999mo":                                       fault.Invalid,
		"usage?last=99999d":                                       fault.Invalid,
		"usage?bucket=minute":                                     fault.Invalid,
		"usage?bucket=hour&last=12mo&group_by=model":              fault.Invalid, // 15 models
		"usage?bucket=hour&last=36mo":                             fault.Invalid,
		"usage?time_zone=Mars/Olympus":                            fault.Invalid,
		"usage?time_zone=Local":                                   fault.Invalid,
		"usage?time_zone=../../etc/passwd":                        fault.Invalid,
		"usage?time_zone=%00":                                     fault.Malformed,
		"usage?group_by=tenant_id":                                fault.Invalid,
		"usage?group_by=model,agent_id":                           fault.Invalid,
		"usage?group_by=model&group_by=model":                     fault.Invalid,
		"usage?agent_id=me":                                       fault.Malformed,
		"usage?format=xml":                                        fault.Invalid,
		"usage?tenant_id=" + uuid.NewString():                     fault.Malformed,
		"usage?from=1999-01-01T00:00:00Z&bucket=month":            fault.Invalid,
		"usage?to=2300-01-01T00:00:00Z&bucket=month":              fault.Invalid,
		"usage?from=2026-03-02T00:00:00Z&to=2026-03-02T00:00:00Z": fault.Invalid,
		"runs?group_by=model":                                     fault.Invalid,
		"runs?model=m":                                            fault.Malformed,
		"latency?model=m":                                         fault.Malformed,
		"reports?limit=0":                                         fault.Invalid,
		"reports/" + uuid.NewString():                             fault.NotFound,
		"reports/" + uuid.NewString() + "/result":                 fault.NotFound,
	} {
		used(t, db, r.tenant, time.Now().Add(-time.Hour), uuid.New(), query, 1)
		a := r.do(t, request{method: "GET", path: "/v1/analytics/" + query, role: auth.RoleViewer})
		if p := a.problem(t, code); a.status >= 500 {
			t.Errorf("%s: %d %+v", query, a.status, p)
		}
	}
	for body, code := range map[string]fault.Code{
		`{}`: fault.Invalid,
		`{"from": "2026-03-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"}`:                   fault.Invalid,
		`{"from": "2026-03-01T00:00:00Z", "to": "2026-09-01T00:00:00Z"}`:                   fault.Invalid,
		`{"from": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"}`:                   fault.Invalid,
		`{"from": "9999-12-30T00:00:00Z", "to": "9999-12-31T23:59:59Z"}`:                   fault.Invalid,
		`{"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z", "tenant_id": "x"}`: fault.Invalid,
	} {
		r.do(t, request{method: "POST", path: "/v1/analytics/rebuild", role: auth.RoleAdmin, body: body}).problem(t, code)
	}
	for path, role := range map[string]auth.Role{"/v1/platform/usage": auth.RoleOwner, "/v1/analytics/usage": ""} {
		if a := r.do(t, request{method: "GET", path: path, role: role}); a.status != 403 && a.status != 401 {
			t.Errorf("%s as %q: %d", path, role, a.status)
		}
	}
	r.do(t, request{method: "POST", path: "/v1/analytics/rebuild", role: auth.RoleOperator, body: `{}`}).problem(t, fault.Forbidden)
	a := r.do(t, request{method: "POST", path: "/v1/analytics/rebuild", role: auth.RoleAdmin, body: `{"from": "2026-03-01T00:00:00Z", "to": "2026-05-01T00:00:00Z"}`})
	if a.status != 200 || !strings.Contains(a.body, `"facts":0`) {
		t.Errorf("a rebuild: %d %s", a.status, a.body)
	}
}

func TestReports(t *testing.T) {
	t.Parallel()
	r, db := analysing(t)
	used(t, db, r.tenant, time.Now(), uuid.New(), "m", 7)
	post := func(body string, header map[string]string) answer {
		return r.do(t, request{method: "POST", path: "/v1/analytics/reports", role: auth.RoleAdmin, body: body, header: header})
	}
	const body = `{"name": "By model", "kind": "usage", "query": {"last": "7d", "bucket": "day", "group_by": ["model"], "time_zone": "Asia/Jakarta"}}`
	key := map[string]string{"Idempotency-Key": "once"}
	made := post(body, key)
	if made.status != 201 || post(body, key).body != made.body {
		t.Fatalf("made: %d %s", made.status, made.body)
	}
	var report analytics.Report
	if err := json.Unmarshal([]byte(made.body), &report); err != nil {
		t.Fatal(err)
	}
	path := "/v1/analytics/reports/" + report.ID.String()
	if made.header.Get("Location") != path || report.Query.Last != "7d" || report.CreatedBy != "ada" {
		t.Errorf("made %+v at %s", report, made.header.Get("Location"))
	}
	for body, code := range map[string]fault.Code{
		body: fault.Conflict,
		`{"name": "x", "kind": "usage", "query": {"group_by": ["day"]}}`:              fault.Invalid,
		`{"name": "x", "kind": "runs", "query": {"group_by": ["model"]}}`:             fault.Invalid,
		`{"name": "x", "kind": "runs", "query": {"model": "m"}}`:                      fault.Invalid,
		`{"name": "x", "kind": "usage", "query": {"time_zone": "Mars"}}`:              fault.Invalid,
		`{"name": "x", "kind": "usage", "query": {"last": "1y"}}`:                     fault.Invalid,
		`{"name": "x", "kind": "usage", "query": {"bucket": "hour", "last": "36mo"}}`: fault.Invalid,
		`{"name": "x", "kind": "usage", "query": {"colour": "red"}}`:                  fault.Invalid,
		`{"name": "x", "kind": "cost"}`:                                               fault.Invalid,
		`{"name": " ", "kind": "usage"}`:                                              fault.Invalid,
		`{"kind": "usage"}`:                                                           fault.Invalid,
	} {
		post(body, nil).problem(t, code)
	}
	var result analytics.Result
	r.get(t, path+"/result", &result)
	if result.Usage == nil || result.Runs != nil || len(result.Usage.Rows) != 8 || result.Usage.Totals.InputTokens != 7 || result.Usage.TimeZone != "Asia/Jakarta" {
		t.Errorf("the result is %+v", result.Usage)
	}
	rows, err := csv.NewReader(strings.NewReader(r.get(t, path+"/result?format=csv", nil).body)).ReadAll()
	if err != nil || len(rows) != 9 {
		t.Errorf("%d rows of CSV (error %v)", len(rows), err)
	}
	patch := func(body string) answer {
		return r.do(t, request{method: "PATCH", path: path, role: auth.RoleAdmin, body: body})
	}
	patch(`{"kind": "runs"}`).problem(t, fault.Invalid)
	patch(`{"query": {"status": ["failed"]}}`).problem(t, fault.Invalid)
	patch(`{"name": ""}`).problem(t, fault.Invalid)
	if a := patch(`{"name": "In a month", "query": {"bucket": "total"}}`); a.status != 200 || !strings.Contains(a.body, `"query":{"bucket":"total"}`) {
		t.Errorf("changed: %d %s", a.status, a.body)
	}
	if a := post(body, nil); a.status != 201 {
		t.Errorf("the name is free again: %d %s", a.status, a.body)
	}
	patch(`{"name": "By model"}`).problem(t, fault.Conflict)
	first := r.tenant
	_, r.tenant = db.Tenant(t, "other")
	for _, q := range []request{{method: "GET"}, {method: "PATCH", body: `{"name": "x"}`}, {method: "DELETE"}} {
		q.path, q.role = path, auth.RoleOwner
		r.do(t, q).problem(t, fault.NotFound)
	}
	if body := r.get(t, "/v1/analytics/reports", nil).body; !strings.Contains(body, `"items":[]`) {
		t.Errorf("another tenant lists %s", body)
	}
	r.tenant = first
	if a := r.do(t, request{method: "DELETE", path: path, role: auth.RoleAdmin}); a.status != 204 {
		t.Errorf("deleted: %d %s", a.status, a.body)
	}
	r.do(t, request{method: "DELETE", path: path, role: auth.RoleAdmin}).problem(t, fault.NotFound)
	r.do(t, request{method: "GET", path: path, role: auth.RoleViewer}).problem(t, fault.NotFound)
	_, err = db.Conn(t).Exec(t.Context(), `insert into analytics_reports select gen_random_uuid(), $1, 'report ' || n, 'runs', '{}', 'me', now(), now()
		from generate_series(1, $2::int) n`, r.tenant, analytics.MaxReports-1)
	if err != nil {
		t.Fatal(err)
	}
	post(`{"name": "one more", "kind": "runs"}`, nil).problem(t, fault.Conflict)
}

// Many save a report of one name at once: one of them does.
func TestOneReportOfAName(t *testing.T) {
	t.Parallel()
	r, _ := analysing(t)
	statuses := make([]int, 8)
	var wait sync.WaitGroup
	for i := range statuses {
		wait.Go(func() {
			statuses[i] = r.do(t, request{method: "POST", path: "/v1/analytics/reports", role: auth.RoleAdmin, body: `{"name": "one", "kind": "runs"}`}).status
		})
	}
	wait.Wait()
	n := map[int]int{}
	for _, s := range statuses {
		n[s]++
	}
	if n[201] != 1 || n[409] != len(statuses)-1 {
		t.Errorf("the answers are %v", n)
	}
}
