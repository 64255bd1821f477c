package integration

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/serviceerror"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// yearly is a spec that fires on request only, for all that the tests see.
const yearly = `"spec": {"cron": ["@yearly"]}`

func TestTriggersAndBackfills(t *testing.T) {
	t.Parallel()
	_, _, x := scheduling(t)
	made := createSchedule(t, x, `%s, "paused": true`, yearly)
	if made.State != "paused" || len(made.NextFirings) != 0 || !strings.Contains(made.Note, actor) {
		t.Errorf("made is %+v", made)
	}
	asked := map[time.Time]bool{}
	for range 3 { // within a second, and of a paused schedule
		var triggered struct{ At time.Time }
		askSchedule(t, x, "POST", schedulePath(made.ID, "/trigger"), `{"overlap": "allow_all"}`).Want(t, 202, &triggered)
		asked[triggered.At] = true
	}
	harness.Eventually(t, within, "each trigger has a run", func() bool { return statuses(runsOf(t, x, made.ID))["completed"] == 3 })
	var line timeline
	askSchedule(t, x, "GET", schedulePath(made.ID, "/firings?to="+time.Now().Add(time.Minute).UTC().Format(time.RFC3339)), nil).Want(t, 200, &line)
	for _, e := range line.Items {
		if !asked[e.At] || e.Kind != "trigger" || e.Result != "fired" {
			t.Errorf("%+v was not triggered", e)
		}
	}
	if len(asked) != 3 || len(line.Items) != 3 {
		t.Errorf("%d triggers and %d entries", len(asked), len(line.Items))
	}

	hourly := createSchedule(t, x, `"spec": {"cron": ["0 * * * *"], "time_zone": "Asia/Jakarta"}`)
	end := time.Now().UTC().Truncate(time.Hour)
	span := fmt.Sprintf(`{"start": %q, "end": %q, "overlap": "buffer_all"}`, end.Add(-2*time.Hour).Format(time.RFC3339), end.Format(time.RFC3339))
	for round := range 2 { // also what has been fired before
		var backfilled struct{ Firings int }
		askSchedule(t, x, "POST", schedulePath(hourly.ID, "/backfill"), span).Want(t, 202, &backfilled)
		harness.Eventually(t, within, "the past has runs", func() bool { return statuses(runsOf(t, x, hourly.ID))["completed"] == 3*(round+1) })
		if backfilled.Firings != 3 {
			t.Errorf("%d firings were asked for", backfilled.Firings)
		}
	}
	askSchedule(t, x, "GET", schedulePath(hourly.ID, "/firings"), nil).Want(t, 200, &line)
	if n := line.results(); len(line.Items) != 6 || n["fired"] != 6 || line.Items[0].Kind != "backfill" || !strings.HasSuffix(line.Items[0].Local, "+07:00") {
		t.Errorf("the timeline is %+v", line)
	}
	for body, rule := range map[string]string{
		`{"start": "2020-01-01T00:00:00Z", "end": "2020-03-01T00:00:00Z"}`: "1441 firings",
		`{"start": "2000-01-01T00:00:00Z", "end": "2020-03-01T00:00:00Z"}`: "more than 10000",
		`{"start": "2020-01-01T00:00:01Z", "end": "2020-01-01T00:00:02Z"}`: "no firing time",
		`{"start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"}`: "future",
		`{"start": "2020-01-02T00:00:00Z", "end": "2020-01-01T00:00:00Z"}`: "before start",
	} {
		if p := askSchedule(t, x, "POST", schedulePath(hourly.ID, "/backfill"), body).WantProblem(t, 422, "validation_failed"); !strings.Contains(p.Detail, rule) {
			t.Errorf("%s: %s", body, p.Detail)
		}
	}
}

func TestPauseSkipAndDelete(t *testing.T) {
	t.Parallel()
	s, _, x := scheduling(t)
	made := createSchedule(t, x, `"spec": {"every": [{"every_seconds": 2}]}`)
	var ahead struct{ Items []struct{ At time.Time } }
	askSchedule(t, x, "GET", schedulePath(made.ID, "/next?count=10"), nil).Want(t, 200, &ahead)
	left := ahead.Items[7].At
	for range 2 { // asked twice
		var skipping scheduleView
		askSchedule(t, x, "POST", schedulePath(made.ID, "/skip"), map[string]any{"at": left}).Want(t, 200, &skipping)
		if len(skipping.Skipped) != 1 || !skipping.Skipped[0].Equal(left) {
			t.Errorf("left out are %v", skipping.Skipped)
		}
	}
	for body, says := range map[string]string{
		fmt.Sprintf(`{"at": %q}`, left.Add(time.Second+time.Hour).Format(time.RFC3339)): "next one after it is " + left.Add(2*time.Second+time.Hour).Format(time.RFC3339),
		`{"at": "2020-01-01T00:00:00Z"}`:                                                "future",
	} {
		if p := askSchedule(t, x, "POST", schedulePath(made.ID, "/skip"), body).WantProblem(t, 422, "validation_failed"); !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %s", body, p.Detail)
		}
	}
	askSchedule(t, x, "GET", schedulePath(made.ID, "/next?count=5"), nil).Want(t, 200, &ahead)
	for _, m := range ahead.Items {
		if m.At.Equal(left) {
			t.Error("what is left out is still among the next ones")
		}
	}
	harness.Eventually(t, within, "it fires again after the one that was left out", func() bool {
		line := firings(t, x, made.ID).fired()
		return len(line) > 0 && line[len(line)-1].At.After(left)
	})
	for _, e := range firings(t, x, made.ID).Items {
		if e.At.Equal(left) != (e.Result == "skipped") {
			t.Errorf("left out was %s, and %+v", left, e)
		}
	}

	var paused scheduleView
	askSchedule(t, x, "POST", schedulePath(made.ID, "/pause"), `{"note": "the source moves"}`).Want(t, 200, &paused)
	if paused.State != "paused" || paused.Note != "the source moves" {
		t.Errorf("paused it is %+v", paused)
	}
	harness.Eventually(t, within, "firing times pass in the pause", func() bool { return firings(t, x, made.ID).results()["paused"] >= 2 })
	for _, e := range firings(t, x, made.ID).Items {
		if e.Result == "paused" && e.Detail != "the source moves" {
			t.Errorf("the note is missing: %+v", e)
		}
	}
	fired := len(runsOf(t, x, made.ID))
	askSchedule(t, x, "POST", schedulePath(made.ID, "/resume"), nil).Want(t, 200, &paused)
	if paused.State != "active" || !strings.Contains(paused.Note, actor) {
		t.Errorf("resumed it is %+v", paused)
	}
	harness.Eventually(t, within, "it fires again", func() bool { return len(runsOf(t, x, made.ID)) > fired })

	askSchedule(t, x, "DELETE", schedulePath(made.ID, ""), nil).Want(t, 204)
	askSchedule(t, x, "GET", schedulePath(made.ID, ""), nil).WantProblem(t, 404, "not_found")
	askSchedule(t, x, "DELETE", schedulePath(made.ID, ""), nil).WantProblem(t, 404, "not_found")
	_, err := s.Temporal.ScheduleClient().GetHandle(t.Context(), workflows.ScheduleID(x.ID, made.ID)).Describe(t.Context())
	if _, gone := err.(*serviceerror.NotFound); !gone { //nolint:errorlint // it is not wrapped
		t.Errorf("Temporal still has it: %v", err)
	}
	if len(runsOf(t, x, made.ID)) <= fired {
		t.Error("the runs went with their schedule")
	}
}

func TestSchedulesAreChanged(t *testing.T) {
	t.Parallel()
	s, p, x := scheduling(t)
	made := createSchedule(t, x, `%s, "overlap": "buffer_one"`, yearly)
	var changed scheduleView
	askSchedule(t, x, "PATCH", schedulePath(made.ID, ""), `{"name": "renamed", "spec": {"cron": ["0 9 13 * fri"], "time_zone": "Europe/Berlin"}, "run": {"input": "else"}}`).Want(t, 200, &changed)
	if changed.Name != "renamed" || changed.Overlap != "buffer_one" || changed.Spec.TimeZone != "Europe/Berlin" || changed.Spec.Cron[0] != "0 9 13 * fri" {
		t.Errorf("changed it is %+v", changed)
	}
	askSchedule(t, x, "POST", schedulePath(made.ID, "/trigger"), nil).Want(t, 202)
	harness.Eventually(t, within, "it fires", func() bool { return statuses(runsOf(t, x, made.ID))["completed"] == 1 })
	if body := string(x.Do(t, "GET", "/v1/runs?schedule_id="+made.ID.String(), nil).Body); !strings.Contains(body, `"else"`) {
		t.Errorf("the run is not of the new template: %s", body)
	}
	for body, field := range map[string]string{
		`{"spec": {"cron": ["x"]}}`:                   "spec.cron[0]",
		`{"spec": {"every": [{"every_seconds": 0}]}}`: "spec.every[0].every_seconds",
		`{"run": {"input": "go", "agent": "nobody"}}`: "run.agent",
		`{"run": {}}`:         "run.input",
		`{"overlap": "both"}`: "overlap",
		`{"spec": {"cron": ["@daily"], "time_zone": "Mars"}}`:           "spec.time_zone",
		`{"run": {"input": "go", "budget": {"max_cost_usd": "cheap"}}}`: "run.budget.max_cost_usd",
	} {
		if p := askSchedule(t, x, "PATCH", schedulePath(made.ID, ""), body).WantProblem(t, 422, "validation_failed"); p.Errors[0].Field != field {
			t.Errorf("%s: %+v", body, p.Errors)
		}
	}

	// Somebody deletes it in the Temporal UI.
	must(t, s.Temporal.ScheduleClient().GetHandle(t.Context(), workflows.ScheduleID(x.ID, made.ID)).Delete(t.Context()))
	if lost := findSchedule(t, x, made.ID); lost.State != "missing" {
		t.Errorf("what Temporal has lost is %+v", lost)
	}
	firings(t, x, made.ID)
	var next struct{ Items []any }
	if askSchedule(t, x, "GET", schedulePath(made.ID, "/next"), nil).Want(t, 200, &next); len(next.Items) != 0 {
		t.Errorf("it is to fire %v", next.Items)
	}
	askSchedule(t, x, "POST", schedulePath(made.ID, "/pause"), nil).WantProblem(t, 409, "conflict")
	askSchedule(t, x, "POST", schedulePath(made.ID, "/trigger"), nil).WantProblem(t, 409, "conflict")
	askSchedule(t, x, "PATCH", schedulePath(made.ID, ""), `{"spec": {"cron": ["@daily"]}}`).Want(t, 200, &changed)
	if changed.State != "active" || changed.Name != "renamed" {
		t.Errorf("made anew it is %+v", changed)
	}

	// A process dies while it makes or deletes one.
	for _, state := range []string{"creating", "deleting"} {
		half := createSchedule(t, x, yearly)
		_, err := s.Database.Conn(t).Exec(t.Context(), `update schedules set state = $2, updated_at = now() - interval '5 minutes' where id = $1`, half.ID, state)
		must(t, err)
		askSchedule(t, x, "GET", schedulePath(half.ID, ""), nil).WantProblem(t, 404, "not_found")
		must(t, p.App.Schedules.Sweep(t.Context()))
		_, err = s.Temporal.ScheduleClient().GetHandle(t.Context(), workflows.ScheduleID(x.ID, half.ID)).Describe(t.Context())
		if _, gone := err.(*serviceerror.NotFound); !gone { //nolint:errorlint // it is not wrapped
			t.Errorf("%s: Temporal still has it: %v", state, err)
		}
		var left int
		must(t, s.Database.Conn(t).QueryRow(t.Context(), `select count(*) from schedules where id = $1`, half.ID).Scan(&left))
		if left != 0 {
			t.Errorf("%s: the row is still there", state)
		}
	}
}

func TestSchedulesOfATenant(t *testing.T) {
	t.Parallel()
	s, p, x := scheduling(t)
	mine := createSchedule(t, x, yearly)
	other := p.NewTenant(t, agents.Config{})
	theirs := createSchedule(t, other, yearly)
	for _, route := range [][2]string{
		{"GET", ""}, {"PATCH", ""}, {"DELETE", ""}, {"POST", "/pause"}, {"POST", "/resume"}, {"POST", "/trigger"}, {"GET", "/next"}, {"GET", "/firings"},
	} {
		var body any
		if route[0] != "GET" && route[0] != "DELETE" {
			body = `{}`
		}
		askSchedule(t, x, route[0], schedulePath(theirs.ID, route[1]), body).WantProblem(t, 404, "not_found")
	}
	askSchedule(t, x, "POST", schedulePath(theirs.ID, "/skip"), `{"at": "2099-01-01T00:00:00Z"}`).WantProblem(t, 404, "not_found")
	askSchedule(t, x, "POST", schedulePath(theirs.ID, "/backfill"), `{"start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z"}`).WantProblem(t, 404, "not_found")
	var list struct {
		Items      []scheduleView
		NextCursor *string `json:"next_cursor"`
	}
	askSchedule(t, x, "GET", "/v1/schedules", nil).Want(t, 200, &list)
	if len(list.Items) != 1 || list.Items[0].ID != mine.ID {
		t.Errorf("the list has %+v", list.Items)
	}

	// The same request with a key is one schedule; the list goes by pages.
	key := uuid.NewString()
	var first, again scheduleView
	body := `{"name": "keyed", "run": {"input": "go"}, ` + yearly + `}`
	askSchedule(t, x, "POST", "/v1/schedules", body, "Idempotency-Key", key).Want(t, 201, &first)
	askSchedule(t, x, "POST", "/v1/schedules", body, "Idempotency-Key", key).Want(t, 201, &again)
	if first.ID != again.ID {
		t.Errorf("one key made %s and %s", first.ID, again.ID)
	}
	askSchedule(t, x, "GET", "/v1/schedules?limit=1", nil).Want(t, 200, &list)
	if list.Items[0].ID != first.ID || list.NextCursor == nil {
		t.Fatalf("the first page is %+v", list)
	}
	askSchedule(t, x, "GET", "/v1/schedules?limit=1&cursor="+*list.NextCursor, nil).Want(t, 200, &list)
	if list.Items[0].ID != mine.ID || list.NextCursor != nil {
		t.Errorf("the second page is %+v", list)
	}

	// Twenty at once, where five more may be.
	_, err := s.Database.Conn(t).Exec(t.Context(), `insert into tenant_quotas (tenant_id, source, schedules, updated_by, updated_at)
		values ($1, 'platform', 7, 'test', now())`, x.ID)
	must(t, err)
	var group sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	for range 20 {
		group.Go(func() {
			a, err := x.Try(context.WithoutCancel(t.Context()), "POST", "/v1/schedules", body)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			answers[a.Status]++
			if a.Status == http.StatusTooManyRequests && !strings.Contains(string(a.Body), "schedules is used up: the tenant may have 7") {
				t.Errorf("refused with %s", a.Body)
			}
		})
	}
	group.Wait()
	if answers[201] != 5 || answers[429] != 15 {
		t.Errorf("the answers are %v", answers)
	}

	viewer := *x
	viewer.Token = harness.Token(t, x.ID, auth.RoleOperator)
	viewer.Do(t, "GET", "/v1/schedules", nil).WantProblem(t, 403, "forbidden")
	var preview struct {
		TimeZone string `json:"time_zone"`
		Items    []struct{ Local string }
	}
	askSchedule(t, x, "POST", "/v1/schedules/preview", `{"spec": {"cron": ["0 9 * * *"], "time_zone": "Asia/Jakarta"}, "from": "2030-01-01T02:00:00Z", "count": 2}`).Want(t, 200, &preview)
	if len(preview.Items) != 2 || preview.Items[0].Local != "2030-01-01T09:00:00+07:00" {
		t.Errorf("the preview is %+v", preview)
	}
	askSchedule(t, x, "POST", "/v1/schedules/preview", `{"spec": {"cron": ["0 0 31 feb *"]}}`).WantProblem(t, 422, "validation_failed")
}
