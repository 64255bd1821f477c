package integration

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// Each overlap policy applies to runs: the model never ends its answer, and the next firing comes.
func TestOverlapPolicies(t *testing.T) {
	t.Parallel()
	s, p, _ := scheduling(t, fakellm.Rule{Reply: fakellm.Reply{Text: "It never", HangAfter: 1}})
	for policy, check := range map[string]func(t *testing.T, x *harness.Tenant, id uuid.UUID){
		"skip": func(t *testing.T, x *harness.Tenant, id uuid.UUID) {
			first := going(t, x, id, 1)[0]
			harness.Eventually(t, within, "firings are skipped", func() bool { return firings(t, x, id).results()["skipped_overlap"] >= 2 })
			for _, e := range firings(t, x, id).Items {
				if e.Result == "skipped_overlap" && !strings.Contains(e.Detail, first.ID.String()) {
					t.Errorf("it does not say which run went on: %+v", e)
				}
			}
			if n := len(runsOf(t, x, id)); n != 1 {
				t.Errorf("%d runs", n)
			}
			cancelRun(t, x, first.ID)
			going(t, x, id, 1)
		},
		"buffer_one": func(t *testing.T, x *harness.Tenant, id uuid.UUID) {
			first := going(t, x, id, 1)[0]
			harness.Eventually(t, within, "one waits and others are skipped", func() bool {
				n := firings(t, x, id).results()
				return n["pending"] == 1 && n["skipped_overlap"] >= 1
			})
			cancelRun(t, x, first.ID)
			second := going(t, x, id, 1)[0]
			if times := firings(t, x, id).fired(); times[1].At.Sub(times[0].At).Seconds() != 2 || *times[1].RunID != second.ID {
				t.Errorf("the one that waited was not the next one: %+v", times)
			}
		},
		"buffer_all": func(t *testing.T, x *harness.Tenant, id uuid.UUID) {
			first := going(t, x, id, 1)[0]
			harness.Eventually(t, within, "three wait", func() bool { return firings(t, x, id).results()["pending"] >= 3 })
			for range 2 {
				cancelRun(t, x, first.ID)
				first = going(t, x, id, 1)[0]
			}
			times := firings(t, x, id).fired()
			if len(times) != 3 || times[2].At.Sub(times[0].At).Seconds() != 4 {
				t.Errorf("they did not come one after the other: %+v", times)
			}
		},
		"cancel_other": func(t *testing.T, x *harness.Tenant, id uuid.UUID) {
			harness.Eventually(t, within, "runs are cancelled by the next firing", func() bool { return statuses(runsOf(t, x, id))["cancelled"] >= 2 })
			all := runsOf(t, x, id)
			oldest := all[len(all)-1]
			if c := oldest.Cancel; c == nil || c.By != "schedule:"+id.String() || !strings.Contains(c.Reason, "next one") {
				t.Errorf("the first run is %+v, cancelled by %+v", oldest, c)
			}
			wholeLog(t, x, oldest.ID)
		},
		"terminate_other": func(t *testing.T, x *harness.Tenant, id uuid.UUID) {
			harness.Eventually(t, within, "a second run has begun", func() bool { return len(runsOf(t, x, id)) >= 2 })
			all := runsOf(t, x, id)
			oldest := all[len(all)-1]
			harness.Eventually(t, within, "the reconciler ends the first", func() bool {
				pass(t, p)
				return x.FindRun(t, oldest.ID).Status == string(runs.Failed)
			})
			wantEnd(t, s, x, oldest.ID, runs.Failed, event.ErrorTerminated)
		},
		"allow_all": func(t *testing.T, x *harness.Tenant, id uuid.UUID) {
			going(t, x, id, 3)
			if n := firings(t, x, id).results(); n["skipped_overlap"] != 0 {
				t.Errorf("the results are %v", n)
			}
		},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			x := p.NewTenant(t, agents.Config{})
			made := createSchedule(t, x, `"spec": {"every": [{"every_seconds": 2}]}, "overlap": %q`, policy)
			check(t, x, made.ID)
			askSchedule(t, x, "DELETE", schedulePath(made.ID, ""), nil).Want(t, 204)
		})
	}
}

// going waits until so many runs of a schedule go on, and gives them.
func going(t *testing.T, x *harness.Tenant, id uuid.UUID, n int) []harness.Run {
	t.Helper()
	var all []harness.Run
	harness.Eventually(t, within, "runs go on", func() bool {
		all = nil
		for _, r := range runsOf(t, x, id) {
			if r.Status == string(runs.Running) {
				all = append(all, r)
			}
		}
		return len(all) >= n
	})
	return all
}

func cancelRun(t *testing.T, x *harness.Tenant, id uuid.UUID) {
	t.Helper()
	x.Do(t, "POST", path(id, "/cancel?wait=true"), `{}`).Want(t, 200)
}
