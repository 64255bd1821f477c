package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// wantIDOfCreation requires that a run's id is as old as the run: lists and bulk cancel find runs of a time by it.
func wantIDOfCreation(t testing.TB, x *harness.Tenant, id uuid.UUID) {
	t.Helper()
	var r struct {
		CreatedAt time.Time `json:"created_at"`
	}
	x.Do(t, "GET", "/v1/runs/"+id.String(), nil).Want(t, 200, &r)
	sec, nsec := id.Time().UnixTime()
	if apart := r.CreatedAt.Sub(time.Unix(sec, nsec)); id.Version() != 7 || apart.Abs() > time.Minute {
		t.Errorf("the run %s was created %s after the time of its id", id, apart)
	}
}

// Runs of firings long ago are as new as any other: lists and bulk cancel by time find them, and they come first.
func TestBackfill_RunsAreFoundByCreationTime(t *testing.T) {
	t.Parallel()
	_, _, x := scheduling(t, fakellm.Rule{Contains: "story", Reply: endless()})
	before := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	var plain harness.Run
	x.Do(t, "POST", "/v1/runs", `{"input": "go"}`).Want(t, 202, &plain)
	made := createSchedule(t, x, `"spec": {"cron": ["0 9 * * *"]}, "run": {"input": "a story"}`)
	span := `{"start": "2024-03-01T00:00:00Z", "end": "2024-03-03T12:00:00Z", "overlap": "allow_all"}`
	askSchedule(t, x, "POST", schedulePath(made.ID, "/backfill"), span).Want(t, 202)
	going(t, x, made.ID, 3)

	var list struct{ Items []harness.Run }
	x.Do(t, "GET", "/v1/runs?created_after="+before, nil).Want(t, 200, &list)
	if len(list.Items) != 4 || list.Items[3].ID != plain.ID {
		t.Errorf("the runs of the last minute, newest first, are %+v", list.Items)
	}
	for _, r := range list.Items {
		wantIDOfCreation(t, x, r.ID)
	}
	x.Do(t, "POST", "/v1/runs/cancel", fmt.Sprintf(`{"created_after": %q, "reason": "enough"}`, before)).Want(t, 202)
	harness.Eventually(t, within, "the bulk cancel reached the backfilled runs", func() bool {
		return statuses(runsOf(t, x, made.ID))["cancelled"] == 3
	})
}
