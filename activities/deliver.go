package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
)

// deliveryLimit bounds one attempt to tell a remote connector.
const deliveryLimit = 20 * time.Second

// Deliver makes one attempt to tell a connector of an event.
func (a *Activities) Deliver(ctx context.Context, d connectors.Delivery) error {
	ref := RunRef{TenantID: d.TenantID, RunID: d.RunID}
	ctx = ref.scoped(ctx)
	r, e, err := a.Runs.EventAt(ctx, d.RunID, d.Seq)
	if err != nil {
		return translate(err)
	}
	err = a.Connectors.Attempt(ctx, d.Connector, ConnectorEvent(r, e), deliveryLimit)
	if errors.Is(err, connectors.ErrRefused) {
		return temporal.NewNonRetryableApplicationError(err.Error(), "delivery_refused", nil)
	}
	if err != nil && ctx.Err() == nil {
		return temporal.NewApplicationError(err.Error(), "delivery_failed")
	}
	return err
}

// ConnectorEvent gives an event of a run's log in the form that connectors are told.
func ConnectorEvent(r runs.Run, e event.Event) connectors.Event {
	return connectors.Event{
		TenantID: r.TenantID, WorkspaceID: r.WorkspaceID, AgentID: r.AgentID, ThreadID: r.ThreadID, RunID: r.ID,
		Seq: e.Seq, Type: e.Type, At: e.At, Data: e.Data, Metadata: r.Metadata, RequestID: r.RequestID, Actor: r.CreatedBy,
		WebhookURL: r.WebhookURL,
	}
}
