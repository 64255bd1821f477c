// Package outage takes Postgres, Temporal and whole processes away while runs are accepted, executed,
// watched and cancelled, and demands that each costs a pause and nothing else.
package outage

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
)

// soon lets the dispatcher look after promises sooner than it does by default, and still later than a
// request that starts a run gives up.
func soon(a *app.App) { a.Runs.DispatchIn = 6 * time.Second }

// never keeps the dispatcher out of a test that makes its passes itself.
func never(a *app.App) { a.Runs.DispatchIn = time.Hour }

// readiness is the answer of /readyz: its status and what is not ok.
func readiness(t *testing.T, x *harness.Tenant) (status int, missing string) {
	t.Helper()
	a := x.Do(t, "GET", "/readyz", nil)
	var r struct {
		Checks []struct {
			Name string `json:"name"`
			OK   bool   `json:"ok"`
		} `json:"checks"`
	}
	if err := json.Unmarshal(a.Body, &r); err != nil {
		t.Fatalf("readiness %s: %v", a.Body, err)
	}
	var names []string
	for _, c := range r.Checks {
		if !c.OK {
			names = append(names, c.Name)
		}
	}
	return a.Status, strings.Join(names, " ")
}

func wantReadiness(t *testing.T, x *harness.Tenant, status int, missing string) {
	t.Helper()
	harness.Eventually(t, 30*time.Second, "readiness "+strconv.Itoa(status)+" "+missing, func() bool {
		s, m := readiness(t, x)
		return s == status && m == missing
	})
}

// wantRefused demands a 503 that says when to come back, in time.
func wantRefused(t *testing.T, within time.Duration, x *harness.Tenant, method, path string, body any, headers ...string) {
	t.Helper()
	began := pace.Start(t)
	a := x.Do(t, method, path, body, headers...)
	if took := began.Took(); took > within {
		t.Errorf("%s %s was refused after %s", method, path, took)
	}
	a.WantProblem(t, 503, "unavailable")
	if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || n < 1 {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
}

// wantRuns demands that the tenant has exactly these runs, behind the API's back.
func wantRuns(t *testing.T, s *harness.System, x *harness.Tenant, want ...uuid.UUID) {
	t.Helper()
	rows, err := s.Database.Conn(t).Query(t.Context(), `select id from agent_runs where tenant_id = $1 order by id`, x.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		got = append(got, id)
	}
	if len(got) != len(want) {
		t.Fatalf("the runs are %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("the runs are %v, want %v", got, want)
		}
	}
}

// text joins what a reader of the stream keeps: deltas, without those that a restart takes back.
func text(t *testing.T, events []event.Event) string {
	t.Helper()
	var b strings.Builder
	for _, e := range events {
		switch e.Type {
		case event.MessageDelta:
			b.WriteString(harness.Payload[event.Delta](t, e).Text)
		case event.AttemptRestarted:
			b.Reset()
		default:
		}
	}
	return b.String()
}
