package integration

import (
	"errors"
	"testing"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// A delivery of what does not exist ends at once, and is neither tried again nor written down.
func TestDeliveriesOfNothing(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x, stranger := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello"}`)
	x.Follow(t, r.ID, 0).Rest(t)
	for name, d := range map[string]connectors.Delivery{
		"an unknown run":       {TenantID: x.ID, RunID: uuid.New(), Seq: 1, Connector: "alerts"},
		"an unknown event":     {TenantID: x.ID, RunID: r.ID, Seq: 1_000_000, Connector: "alerts"},
		"another tenant's run": {TenantID: stranger.ID, RunID: r.ID, Seq: 1, Connector: "alerts"},
		"no endpoint's id":     {TenantID: x.ID, RunID: r.ID, Seq: 1, Connector: "endpoints", Target: "garbage"},
	} {
		t.Run(name, func(t *testing.T) {
			run, err := s.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
				ID: workflows.DeliveryWorkflowID(d), TaskQueue: workflows.ConnectorQueue,
			}, workflows.DeliverEventName, d)
			must(t, err)
			var refused *temporal.ApplicationError
			if err := run.Get(soon(t), nil); !errors.As(err, &refused) || !refused.NonRetryable() {
				t.Errorf("it ended with %v", err)
			}
			var kept int
			must(t, s.Database.Conn(t).QueryRow(t.Context(), `select count(*) from deliveries where connector = $1`, d.Connector).Scan(&kept))
			if kept != 0 {
				t.Errorf("%d deliveries are written down", kept)
			}
		})
	}
}
