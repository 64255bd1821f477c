package integration

import (
	"testing"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/harness"
)

// A firing is an ordinary run: it has a log, a trail, and the schedule's id.
func TestAScheduleFires(t *testing.T) {
	t.Parallel()
	s, _, x := scheduling(t)
	made := createSchedule(t, x, `"spec": {"every": [{"every_seconds": 2}]}`)
	if made.State != "active" || made.Overlap != "skip" || len(made.NextFirings) != 5 || made.Spec.TimeZone != "UTC" {
		t.Errorf("made is %+v", made)
	}
	harness.Eventually(t, within, "two firings have run", func() bool { return statuses(runsOf(t, x, made.ID))["completed"] >= 2 })
	line := firings(t, x, made.ID)
	if n := line.results()["fired"]; n < 2 {
		t.Fatalf("the timeline is %+v", line)
	}
	first := line.fired()[0]
	if first.Kind != "schedule" || *first.RunStatus != "completed" || first.At.Unix()%2 != 0 {
		t.Errorf("the first firing is %+v", first)
	}
	events := wholeLog(t, x, *first.RunID)
	if started := harness.Payload[event.Started](t, events[0]); started.QueuedMS > 20_000 {
		t.Errorf("it was queued for %d ms", started.QueuedMS)
	}
	harness.Eventually(t, within, "the trail has its start and its end", func() bool { return len(auditRows(t, s, *first.RunID)) == 2 })
	if sec, _ := first.RunID.Time().UnixTime(); sec != first.At.Unix() {
		t.Errorf("the run's id is of %d, its firing of %d", sec, first.At.Unix())
	}
	var e struct {
		WorkflowID string `json:"workflow_id"`
	}
	x.Do(t, "GET", "/v1/runtime/runs/"+first.RunID.String(), nil).Want(t, 200, &e)
}
