package integration

import (
	"testing"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// People who look at Temporal find names there, not ids.
func TestARunsTitle(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello"}`)
	x.Follow(t, r.ID, 0).Rest(t)
	d, err := s.Temporal.DescribeWorkflow(t.Context(), workflows.RunWorkflowID(x.ID, r.ID), "")
	must(t, err)
	if summary, err := d.GetStaticSummary(); err != nil || summary != x.Slug+" · assistant, version 1" {
		t.Errorf("the title is %q, error %v", summary, err)
	}
}
