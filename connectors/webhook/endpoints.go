package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

// Endpoint is a receiver that a tenant registered. It holds secrets: it is never logged.
type Endpoint struct {
	ID           uuid.UUID
	URL          string
	Fields       []string // of an event's own data that are sent; nil: all
	Headers      map[string]string
	Secrets      []string    // "whsec_…" that sign, the newest first
	Disabled     string      // why nothing may be sent; "" when it may
	FailingSince *clock.Time // the first failure since the last success
}

// Directory knows the endpoints of the context's tenant, and is told how they do.
type Directory interface {
	// Endpoint gives an endpoint; fault.NotFound when there is none.
	Endpoint(ctx context.Context, id uuid.UUID) (Endpoint, error)
	Succeeded(ctx context.Context, e Endpoint)
	Failed(ctx context.Context, e Endpoint)
	Gone(ctx context.Context, e Endpoint)
}

// Endpoints tells the endpoint that an event's Target names.
type Endpoints struct {
	name      string
	directory Directory
	client    Client
	gates     *Gates
}

var (
	_ connectors.RuntimeConnector = (*Endpoints)(nil)
	_ connectors.Declarer         = (*Endpoints)(nil)
)

// NewEndpoints makes the connector.
func NewEndpoints(name string, directory Directory, client Client, gates *Gates) *Endpoints {
	return &Endpoints{name: name, directory: directory, client: client, gates: gates}
}

// Name is as given to NewEndpoints.
func (c *Endpoints) Name() string { return c.name }

// Mode is remote.
func (c *Endpoints) Mode() connectors.Mode { return connectors.Remote }

// Wants nothing by itself: which endpoints want an event is found in the transaction that records it.
func (c *Endpoints) Wants(connectors.Event) bool { return false }

// OnStart posts run_started.
func (c *Endpoints) OnStart(ctx context.Context, e connectors.Event) error { return c.tell(ctx, e) }

// OnProgress posts run_progress.
func (c *Endpoints) OnProgress(ctx context.Context, e connectors.Event) error { return c.tell(ctx, e) }

// OnComplete posts run_completed.
func (c *Endpoints) OnComplete(ctx context.Context, e connectors.Event) error { return c.tell(ctx, e) }

// OnError posts run_error.
func (c *Endpoints) OnError(ctx context.Context, e connectors.Event) error { return c.tell(ctx, e) }

// OnCancel posts run_cancelled.
func (c *Endpoints) OnCancel(ctx context.Context, e connectors.Event) error { return c.tell(ctx, e) }

// lookupAgain is when an endpoint is looked up again after the database did not answer.
const lookupAgain = 2 * time.Second

func (c *Endpoints) tell(ctx context.Context, e connectors.Event) error {
	id, err := uuid.Parse(e.Target)
	if err != nil {
		return fmt.Errorf("%w: the delivery names no endpoint", connectors.ErrRefused)
	}
	to, err := c.directory.Endpoint(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return fmt.Errorf("%w: there is no such endpoint", connectors.ErrRefused)
	case err != nil:
		return &connectors.Postponed{After: lookupAgain, Reason: "the endpoint cannot be looked up"}
	case to.Disabled != "":
		return fmt.Errorf("%w: the endpoint is disabled: %s", connectors.ErrRefused, to.Disabled)
	}
	body, err := encode(e, to.Fields)
	if err != nil {
		return err
	}
	report, err := c.gates.through(ctx, c.name+" "+to.ID.String(), to.FailingSince == nil, func() (connectors.Report, error) {
		return c.post(ctx, to, e.IdempotencyKey(c.name), body)
	})
	connectors.File(ctx, report)
	c.note(ctx, to, err)
	return err
}

// note tells the directory what an attempt says of the endpoint; one that was postponed, or that this
// process broke off, says nothing.
func (c *Endpoints) note(ctx context.Context, to Endpoint, err error) {
	var postponed *connectors.Postponed
	switch {
	case err == nil:
		c.directory.Succeeded(ctx, to)
	case errors.As(err, &postponed), ctx.Err() != nil:
	case errors.Is(err, errGone):
		c.directory.Gone(ctx, to)
	default:
		c.directory.Failed(ctx, to)
	}
}

func (c *Endpoints) post(ctx context.Context, to Endpoint, id string, body []byte) (connectors.Report, error) {
	l := letter{url: to.URL, id: id, body: body, headers: to.Headers}
	for _, secret := range to.Secrets {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return connectors.Report{}, errors.New("a secret of the endpoint is not base64 after whsec_") // the cause would show it
		}
		l.signers = append(l.signers, signer)
	}
	if len(l.signers) == 0 {
		return connectors.Report{}, errors.New("the endpoint has no secret to sign with") // a receiver must be able to tell us from others
	}
	return post(ctx, c.client, l)
}

// Test sends one signed test message to an endpoint of the context's tenant, at once, whatever its gate
// says; how it goes is noted nowhere.
func (c *Endpoints) Test(ctx context.Context, to Endpoint) (connectors.Report, error) {
	body, err := json.Marshal(TestMessage{Type: TestType, Timestamp: clock.Now(), Data: TestData{TenantID: scope.Tenant(ctx), WebhookID: to.ID}})
	if err != nil {
		return connectors.Report{}, fmt.Errorf("encode the test: %w", err)
	}
	return c.post(ctx, to, "test:"+uuid.NewString(), body)
}
