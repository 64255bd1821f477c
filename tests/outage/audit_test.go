package outage

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/tests/harness"
)

func trail(t *testing.T, x *harness.Tenant, filter string) []audit.Record {
	t.Helper()
	var p struct{ Items []audit.Record }
	x.Do(t, "GET", "/v1/audit-logs?limit=200&"+filter, nil).Want(t, 200, &p)
	return p.Items
}

// Requests are in the trail although the database was away when they were refused, and once although the
// answer to a commit was lost.
func TestTheTrailOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg, database, _ := s.Behind(t)
	x := s.StartWith(t, cfg, app.Options{API: true}).NewTenant(t, agents.Config{})

	database.Cut()
	wantRefused(t, 10*time.Second, x, "POST", "/v1/agents", `{"slug": "a", "name": "A"}`)
	wantRefused(t, 10*time.Second, x, "POST", "/v1/runs", `{"input": "hello"}`)
	database.Heal(t)
	harness.Eventually(t, 20*time.Second, "both refusals are in the trail", func() bool {
		a, err := x.Try(t.Context(), "GET", "/v1/audit-logs?outcome=failure", nil)
		var p struct{ Items []audit.Record }
		return err == nil && json.Unmarshal(a.Body, &p) == nil && len(p.Items) == 2 && p.Items[0].Action == "createRun" && p.Items[1].Action == "createAgent"
	})

	lost := database.LoseAnswerTo("createAgent")
	x.Do(t, "POST", "/v1/agents", `{"slug": "a", "name": "A"}`).Want(t, 201)
	<-lost
	harness.Eventually(t, 20*time.Second, "the change is in the trail", func() bool { return len(trail(t, x, "outcome=success")) > 0 })
	x.Do(t, "POST", "/v1/agents", `{"slug": "b", "name": "B"}`).Want(t, 201)
	if made := trail(t, x, "outcome=success"); len(made) != 2 {
		t.Errorf("the trail holds %+v", made)
	}
	var v audit.Verdict
	x.Do(t, "GET", "/v1/audit-logs/verify", nil).Want(t, 200, &v)
	if !v.Valid || v.Position != 4 {
		t.Errorf("the chain is judged %+v, broken: %+v", v, v.Broken)
	}
}

// A process that is stopped writes what it has taken down first.
func TestAStoppedProcessLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	for i := range 30 {
		x.Do(t, "POST", "/v1/agents", fmt.Sprintf(`{"slug": "a-%[1]d", "name": "A %[1]d"}`, i)).Want(t, 201)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	x.URL = s.Start(t, app.Options{API: true}).URL
	if kept := trail(t, x, "action=createAgent"); len(kept) != 30 {
		t.Errorf("%d of 30 requests are in the trail", len(kept))
	}
}
