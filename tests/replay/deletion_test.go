package replay

import (
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/tenants"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// A deletion that waits for its grace period, and one that is cancelled in it. With -record their histories
// are stored.
func TestDeletionsReplay(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	for name, grace := range map[string]time.Duration{"tenant_deleted.1": 2 * time.Second, "tenant_deletion_cancelled.1": time.Hour} {
		if stored(t)[name] == nil && !*record {
			t.Errorf("there is no history %s: run go test ./tests/replay -record", name)
		}
		x := p.NewTenant(t, agents.Config{})
		ctx := x.Context(t.Context())
		if _, err := p.App.Deletion.Request(ctx, tenants.DeletionRequest{Grace: grace}); err != nil {
			t.Fatal(err)
		}
		id := workflows.DeletionWorkflowID(x.ID)
		if grace == time.Hour {
			harness.Eventually(t, 20*time.Second, "the grace period runs", func() bool {
				for _, e := range chain(t, s.Temporal, id)[0].GetEvents() {
					if e.GetTimerStartedEventAttributes() != nil {
						return true
					}
				}
				return false
			})
			if _, err := p.App.Deletion.Cancel(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Temporal.GetWorkflow(t.Context(), id, "").Get(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		h := chain(t, s.Temporal, id)[0]
		if err := replay(t, plugged(t), workflows.AgentRun, h); err != nil {
			t.Error(err)
		}
		if *record {
			store(t, name, h)
		}
	}
}
