package activities

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/deliveries"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/storable"
	"github.com/larirun/lari/internal/runs"
)

const (
	// deliveryLimit bounds one attempt to tell a remote connector.
	deliveryLimit = 20 * time.Second
	// Pauses between attempts double from the first to the longest, each by chance up to a fifth shorter or
	// longer: receivers that were down are not met by everybody at once.
	firstPause   = time.Second
	longestPause = time.Hour
)

// Deliver makes one attempt to tell a connector of an event, and keeps how it went.
func (a *Activities) Deliver(ctx context.Context, d connectors.Delivery) error {
	ctx = RunRef{TenantID: d.TenantID, RunID: d.RunID}.scoped(ctx)
	key, err := deliveryKey(d)
	if err != nil {
		return temporal.NewNonRetryableApplicationError(err.Error(), "delivery_refused", nil)
	}
	r, e, err := a.Runs.EventAt(ctx, d.RunID, d.Seq)
	if err != nil {
		return translate(err)
	}
	ctx = RunRef{TenantID: d.TenantID, RunID: d.RunID, RequestID: r.RequestID}.scoped(ctx)
	ctx = traced(ctx, r)
	known, err := a.Deliveries.Begin(ctx, key, string(e.Type))
	if err != nil || known.Status != deliveries.Pending || known.Key().Round != key.Round {
		return translate(err)
	}
	told := ConnectorEvent(r, e)
	told.Target = d.Target
	began := clock.Now()
	trying, report := connectors.WithReport(ctx)
	err = a.Connectors.Attempt(trying, d.Connector, told, deliveryLimit)
	var postponed *connectors.Postponed
	switch {
	case errors.As(err, &postponed):
		return again("delivery_postponed", postponed.Error(), postponed.After)
	case err != nil && ctx.Err() != nil: // this worker goes away; whether the receiver heard it is not known
		return translate(ctx.Err())
	}
	attempt, led := attemptOf(began, *report, err)
	a.Logger.DebugContext(ctx, "a connector was told", "connector", d.Connector, "type", e.Type, "seq", d.Seq, "outcome", led,
		"status", report.StatusCode, "took", time.Since(began.Time))
	if err := a.Deliveries.Record(ctx, key, attempt, led); err != nil {
		return translate(err)
	}
	switch led {
	case deliveries.Refused:
		return temporal.NewNonRetryableApplicationError(attempt.Error, "delivery_refused", nil)
	case deliveries.Pending:
		return again("delivery_failed", attempt.Error, pauseAfter(known.Attempts))
	case deliveries.Delivered, deliveries.Failed:
	}
	return nil
}

// again asks for another attempt. That a receiver is down is no error of this program: it stands in the
// delivery's own log.
func again(kind, message string, after time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(message, kind, temporal.ApplicationErrorOptions{
		NextRetryDelay: after, Category: temporal.ApplicationErrorCategoryBenign,
	})
}

// GiveUpDelivery ends a delivery whose time is over.
func (a *Activities) GiveUpDelivery(ctx context.Context, d connectors.Delivery) error {
	key, err := deliveryKey(d)
	if err != nil {
		return temporal.NewNonRetryableApplicationError(err.Error(), "delivery_refused", nil)
	}
	return translate(a.Deliveries.GiveUp(RunRef{TenantID: d.TenantID, RunID: d.RunID}.scoped(ctx), key))
}

func deliveryKey(d connectors.Delivery) (deliveries.Key, error) {
	k := deliveries.Key{TenantID: d.TenantID, RunID: d.RunID, Seq: d.Seq, Connector: d.Connector, Round: max(d.Round, 1)}
	if d.Target == "" {
		return k, nil
	}
	id, err := uuid.Parse(d.Target)
	k.EndpointID = &id
	return k, err
}

func attemptOf(began clock.Time, report connectors.Report, err error) (deliveries.Attempt, deliveries.Status) {
	a := deliveries.Attempt{At: began, DurationMS: time.Since(began.Time).Milliseconds(), Response: storable.Text(report.Response)}
	if report.StatusCode != 0 {
		a.StatusCode = &report.StatusCode
	}
	switch {
	case err == nil:
		return a, deliveries.Delivered
	case errors.Is(err, connectors.ErrRefused):
		a.Error = storable.Text(err.Error())
		return a, deliveries.Refused
	}
	a.Error = storable.Text(err.Error())
	return a, deliveries.Pending
}

// pauseAfter is the pause after so many attempts and one more.
func pauseAfter(attempts int) time.Duration {
	pause := longestPause
	if attempts < 12 {
		pause = min(firstPause<<attempts, longestPause)
	}
	return pause*4/5 + rand.N(pause*2/5) //nolint:gosec // nobody gains by guessing when
}

// ConnectorEvent gives an event of a run's log in the form that connectors are told.
func ConnectorEvent(r runs.Run, e event.Event) connectors.Event {
	return connectors.Event{
		TenantID: r.TenantID, WorkspaceID: r.WorkspaceID, AgentID: r.AgentID, ThreadID: r.ThreadID, RunID: r.ID,
		Seq: e.Seq, Type: e.Type, At: e.At, Data: e.Data, Metadata: r.Metadata, RequestID: r.RequestID, Actor: r.CreatedBy,
		WebhookURL: r.WebhookURL,
	}
}
