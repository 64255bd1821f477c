// Package webhook is the connector that tells HTTP receivers how runs end, signed as Standard Webhooks
// prescribes (https://www.standardwebhooks.com).
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/egress"
)

// Connector posts run_completed and run_error.
type Connector struct {
	name   string
	target func(connectors.Event) string
	client Client
	signer *standardwebhooks.Webhook
}

// Client sends a request; it decides which destinations may be reached and for how long.
type Client interface {
	Do(*http.Request) (*http.Response, error)
}

var (
	_ connectors.RuntimeConnector = (*Connector)(nil)
	_ connectors.Declarer         = (*Connector)(nil)
)

// New makes a connector. target gives the receiver of an event, "" for none. secret ("whsec_…", "" for
// no signature) signs what is sent.
func New(name string, target func(connectors.Event) string, client Client, secret string) (*Connector, error) {
	c := &Connector{name: name, target: target, client: client}
	if secret != "" {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, fmt.Errorf("the secret of connector %s is not base64 after whsec_", name) // the cause would show it
		}
		c.signer = signer
	}
	return c, nil
}

// Name is as given to New.
func (c *Connector) Name() string { return c.name }

// Mode is remote.
func (c *Connector) Mode() connectors.Mode { return connectors.Remote }

// Wants run_completed and run_error of runs that have a receiver.
func (c *Connector) Wants(e connectors.Event) bool {
	return (e.Type == event.RunCompleted || e.Type == event.RunError) && c.target(e) != ""
}

// OnStart does nothing.
func (c *Connector) OnStart(context.Context, connectors.Event) error { return nil }

// OnProgress does nothing.
func (c *Connector) OnProgress(context.Context, connectors.Event) error { return nil }

// OnCancel does nothing.
func (c *Connector) OnCancel(context.Context, connectors.Event) error { return nil }

// OnComplete posts run_completed.
func (c *Connector) OnComplete(ctx context.Context, e connectors.Event) error { return c.post(ctx, e) }

// OnError posts run_error.
func (c *Connector) OnError(ctx context.Context, e connectors.Event) error { return c.post(ctx, e) }

// Message is the body of a webhook.
type Message struct {
	Type      event.Type `json:"type"`
	Timestamp clock.Time `json:"timestamp"`
	Data      Data       `json:"data"`
}

// Data is the event, with whom it concerns.
type Data struct {
	TenantID uuid.UUID       `json:"tenant_id"`
	AgentID  uuid.UUID       `json:"agent_id"`
	RunID    uuid.UUID       `json:"run_id"`
	ThreadID *uuid.UUID      `json:"thread_id,omitempty"`
	Seq      int64           `json:"seq"`
	Metadata json.RawMessage `json:"metadata"`
	Event    json.RawMessage `json:"event"`
}

// maxDrained bounds what is read of an answer, so that its connection can be used again.
const maxDrained = 64 << 10

func (c *Connector) post(ctx context.Context, e connectors.Event) error {
	body, err := json.Marshal(Message{Type: e.Type, Timestamp: e.At, Data: Data{
		TenantID: e.TenantID, AgentID: e.AgentID, RunID: e.RunID, ThreadID: e.ThreadID, Seq: e.Seq, Metadata: e.Metadata, Event: e.Data,
	}})
	if err != nil {
		return fmt.Errorf("encode the webhook: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.target(e), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: its address is not a URL", connectors.ErrRefused)
	}
	if err := c.sign(req, e, body); err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("the receiver cannot be reached: %w", egress.Fault(withoutAddress(err)))
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrained)
	switch {
	case resp.StatusCode/100 == 2:
		return nil
	case resp.StatusCode == http.StatusGone:
		return fmt.Errorf("%w: it answered 410", connectors.ErrRefused)
	}
	return fmt.Errorf("the receiver answered %d", resp.StatusCode)
}

// withoutAddress takes the address out of an error of net/http, which begins with it: the path of a
// receiver is often what lets somebody in.
func withoutAddress(err error) error {
	var addressed *url.Error
	if errors.As(err, &addressed) {
		return addressed.Err
	}
	return err
}

func (c *Connector) sign(req *http.Request, e connectors.Event, body []byte) error {
	id, at := e.IdempotencyKey(c.name), time.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Lari-Webhook/1")
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(at.Unix()))
	if c.signer == nil {
		return nil
	}
	signature, err := c.signer.Sign(id, at, body)
	if err != nil {
		return fmt.Errorf("sign the webhook: %w", err)
	}
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return nil
}
