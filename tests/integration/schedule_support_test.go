package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// scheduleView is what tests look at of a schedule.
type scheduleView struct {
	ID          uuid.UUID   `json:"id"`
	Name        string      `json:"name"`
	State       string      `json:"state"`
	Note        string      `json:"note"`
	Overlap     string      `json:"overlap"`
	NextFirings []time.Time `json:"next_firings"`
	Skipped     []time.Time `json:"skipped"`
	Spec        struct {
		Cron     []string `json:"cron"`
		TimeZone string   `json:"time_zone"`
		Every    []struct {
			EverySeconds int `json:"every_seconds"`
		} `json:"every"`
	} `json:"spec"`
	Firings struct {
		Started        int `json:"started"`
		SkippedOverlap int `json:"skipped_overlap"`
		Missed         int `json:"missed"`
	} `json:"firings"`
}

// entry is one of a timeline.
type entry struct {
	At        time.Time  `json:"at"`
	Local     string     `json:"local"`
	Kind      string     `json:"kind"`
	Result    string     `json:"result"`
	RunID     *uuid.UUID `json:"run_id"`
	RunStatus *string    `json:"run_status"`
	Code      string     `json:"code"`
	Detail    string     `json:"detail"`
}

type timeline struct {
	Items      []entry   `json:"items"`
	NextCursor *string   `json:"next_cursor"`
	KnownFrom  time.Time `json:"known_from"`
}

// scheduling is a system on which schedules may fire each second.
func scheduling(t *testing.T, rules ...fakellm.Rule) (*harness.System, *harness.Process, *harness.Tenant) {
	t.Helper()
	s := harness.NewSystem(t, rules...)
	s.Config.Schedules.MinInterval = time.Second
	p := s.Start(t, harness.All)
	return s, p, p.NewTenant(t, agents.Config{})
}

// createSchedule makes one; body is JSON text without the name and, if it has none, the template.
func createSchedule(t testing.TB, x *harness.Tenant, body string, args ...any) scheduleView {
	t.Helper()
	var s scheduleView
	full := `{"name": "of the test", ` + fmt.Sprintf(body, args...) + `}`
	if !strings.Contains(full, `"run":`) {
		full = `{"run": {"input": "go"}, ` + full[1:]
	}
	key := uuid.NewString()
	harness.Eventually(t, 2*within, "the schedule is made", func() bool {
		a := x.Do(t, "POST", "/v1/schedules", full, "Idempotency-Key", key)
		if a.Status == http.StatusServiceUnavailable { // Temporal's own worker takes a moment to begin in a new namespace
			return false
		}
		a.Want(t, 201, &s)
		return true
	})
	return s
}

func findSchedule(t testing.TB, x *harness.Tenant, id uuid.UUID) scheduleView {
	t.Helper()
	var s scheduleView
	askSchedule(t, x, "GET", schedulePath(id, ""), nil).Want(t, 200, &s)
	return s
}

func schedulePath(id uuid.UUID, rest string) string { return "/v1/schedules/" + id.String() + rest }

// firings gives the timeline of the last hour.
func firings(t testing.TB, x *harness.Tenant, id uuid.UUID) timeline {
	t.Helper()
	var l timeline
	askSchedule(t, x, "GET", schedulePath(id, "/firings?from="+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)), nil).Want(t, 200, &l)
	return l
}

// results gives how often each result is in a timeline.
func (l timeline) results() map[string]int {
	n := map[string]int{}
	for _, e := range l.Items {
		n[e.Result]++
	}
	return n
}

// fired gives the entries with runs.
func (l timeline) fired() []entry {
	var all []entry
	for _, e := range l.Items {
		if e.RunID != nil {
			all = append(all, e)
		}
	}
	return all
}

// runsOf gives the runs of a schedule, newest first.
func runsOf(t testing.TB, x *harness.Tenant, id uuid.UUID) []harness.Run {
	t.Helper()
	var list struct {
		Items []harness.Run `json:"items"`
	}
	x.Do(t, "GET", "/v1/runs?limit=200&schedule_id="+id.String(), nil).Want(t, 200, &list)
	return list.Items
}

// statuses counts runs by their status.
func statuses(all []harness.Run) map[string]int {
	n := map[string]int{}
	for _, r := range all {
		n[r.Status]++
	}
	return n
}

// askSchedule is Do that asks again while Temporal is too busy to answer: schedules are asked about there, and the server
// of the tests serves everybody.
func askSchedule(t testing.TB, x *harness.Tenant, method, path string, body any, headers ...string) (a harness.Answer) {
	t.Helper()
	harness.Eventually(t, 2*within, method+" "+path+" is answered", func() bool {
		a = x.Do(t, method, path, body, headers...)
		return a.Status != http.StatusServiceUnavailable
	})
	return a
}
