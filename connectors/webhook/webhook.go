// Package webhook holds the connectors that tell HTTP receivers of runs, signed as Standard Webhooks
// prescribes (https://www.standardwebhooks.com): Connector, with one receiver that configuration or the
// run names, and Endpoints, with those that tenants registered.
//
// All go through one gate each receiver (Gates): so many requests at a time, a circuit breaker behind
// failures, and a bound on what receivers that are not known to be well take of the process. A delivery
// that may not go now is postponed, which is no attempt.
package webhook

import (
	"context"
	"fmt"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
)

// Connector posts run_completed and run_error.
type Connector struct {
	o       Options
	signers []*standardwebhooks.Webhook
}

// Options of a Connector.
type Options struct {
	Name   string
	Target func(connectors.Event) string // the receiver of an event, "" for none
	Client Client
	Gates  *Gates
	Secret string // "whsec_…" signs what is sent; "": no signature
	// Operators says that the receiver is not the tenant's: what it answers is kept from the delivery log.
	Operators bool
}

var (
	_ connectors.RuntimeConnector = (*Connector)(nil)
	_ connectors.Declarer         = (*Connector)(nil)
)

// New makes a connector; a secret that is none is an error.
func New(o Options) (*Connector, error) {
	c := &Connector{o: o}
	if o.Secret == "" {
		return c, nil
	}
	signer, err := standardwebhooks.NewWebhook(o.Secret)
	if err != nil {
		return nil, fmt.Errorf("the secret of connector %s is not base64 after whsec_", o.Name) // the cause would show it
	}
	c.signers = []*standardwebhooks.Webhook{signer}
	return c, nil
}

// Name is as given to New.
func (c *Connector) Name() string { return c.o.Name }

// Mode is remote.
func (c *Connector) Mode() connectors.Mode { return connectors.Remote }

// Wants run_completed and run_error of runs that have a receiver.
func (c *Connector) Wants(e connectors.Event) bool {
	return (e.Type == event.RunCompleted || e.Type == event.RunError) && c.o.Target(e) != ""
}

// OnStart does nothing.
func (c *Connector) OnStart(context.Context, connectors.Event) error { return nil }

// OnProgress does nothing.
func (c *Connector) OnProgress(context.Context, connectors.Event) error { return nil }

// OnCancel does nothing.
func (c *Connector) OnCancel(context.Context, connectors.Event) error { return nil }

// OnComplete posts run_completed.
func (c *Connector) OnComplete(ctx context.Context, e connectors.Event) error { return c.tell(ctx, e) }

// OnError posts run_error.
func (c *Connector) OnError(ctx context.Context, e connectors.Event) error { return c.tell(ctx, e) }

func (c *Connector) tell(ctx context.Context, e connectors.Event) error {
	body, err := encode(e, nil)
	if err != nil {
		return err
	}
	to := c.o.Target(e)
	key := c.o.Name + " " + to
	if !c.o.Operators {
		key += " " + e.TenantID.String() // what one tenant's runs met says nothing to another tenant
	}
	report, err := c.o.Gates.through(ctx, key, true, func() (connectors.Report, error) {
		return post(ctx, c.o.Client, letter{url: to, id: e.IdempotencyKey(c.o.Name), body: body, signers: c.signers})
	})
	if c.o.Operators {
		report.Response = ""
	}
	connectors.File(ctx, report)
	return err
}
