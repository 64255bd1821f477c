package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/connectors/webhook"
	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/deliveries"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/egress"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/webhooks"
)

// webhookMargin is what a client may take beyond an attempt: the attempt's own limit comes first and says
// what happened.
const webhookMargin = 5 * time.Second

// webhookConnectors makes all that post to HTTP receivers, and the domain of those that tenants register.
func (a *App) webhookConnectors(guarded *egress.Client) ([]connectors.RuntimeConnector, error) {
	gates := webhook.NewGates(webhook.Limits{
		Doubtful: max(a.cfg.Worker.ConcurrentActivities*3/4, 1), Failing: max(a.cfg.Worker.ConcurrentActivities/2, 1),
	})
	// The operator chose this address, so it may be a private one.
	trusted := &http.Client{
		Timeout:       webhook.AttemptLimit + webhookMargin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	alertsURL := a.cfg.AlertsWebhookURL.Reveal()
	alerts, err := webhook.New(webhook.Options{
		Name: "alerts", Target: func(connectors.Event) string { return alertsURL }, Client: trusted, Gates: gates,
		Secret: a.cfg.AlertsWebhookSecret.Reveal(), Operators: true,
	})
	if err != nil {
		return nil, err
	}
	own, err := webhook.New(webhook.Options{
		Name: "webhook", Target: func(e connectors.Event) string { return e.WebhookURL }, Client: guarded, Gates: gates,
	})
	if err != nil {
		return nil, err
	}
	a.Webhooks = webhooks.NewService(webhooks.Deps{
		DB: a.DB, Agents: endpointAgents{a.Agents}, Auditor: endpointAuditor{a.audit}, Logger: a.log,
		CheckURL: func(raw string) error {
			_, err := guarded.ParseURL(raw)
			return err
		},
	})
	endpoints := webhook.NewEndpoints(deliveries.Endpoints, directory{a.Webhooks}, guarded, gates)
	a.Webhooks.Prober = prober{endpoints}
	return []connectors.RuntimeConnector{alerts, own, endpoints}, nil
}

// endpointAgents shows agents to webhooks.
type endpointAgents struct{ agents *agents.Service }

func (p endpointAgents) ResolveAgent(ctx context.Context, ref string) (uuid.UUID, error) {
	a, err := p.agents.FindAgent(ctx, ref)
	return a.ID, err
}

// endpointAuditor shows the audit trail to webhooks.
type endpointAuditor struct{ audit *audit.Service }

func (p endpointAuditor) EndpointDisabled(ctx context.Context, endpoint uuid.UUID, at clock.Time, reason string) error {
	data, err := json.Marshal(map[string]string{"reason": reason})
	if err != nil {
		return fmt.Errorf("encode the reason: %w", err)
	}
	return p.audit.Append(ctx, audit.Entry{
		Key: fmt.Sprintf("webhook:%s:disabled:%d", endpoint, at.UnixMilli()), At: at, Actor: "system", Action: "webhook.disable",
		ResourceType: "webhook", ResourceID: endpoint.String(), Outcome: "success", RequestID: scope.From(ctx).RequestID, Data: data,
	})
}

// directory shows webhooks to their connector.
type directory struct{ webhooks *webhooks.Service }

func (p directory) Endpoint(ctx context.Context, id uuid.UUID) (webhook.Endpoint, error) {
	t, err := p.webhooks.Target(ctx, id)
	return webhook.Endpoint(t), err
}

func (p directory) Succeeded(ctx context.Context, e webhook.Endpoint) {
	p.webhooks.Succeeded(ctx, webhooks.Target(e))
}

func (p directory) Failed(ctx context.Context, e webhook.Endpoint) {
	p.webhooks.Failed(ctx, webhooks.Target(e))
}

func (p directory) Gone(ctx context.Context, e webhook.Endpoint) {
	p.webhooks.Gone(ctx, webhooks.Target(e))
}

// prober shows the connector to webhooks.
type prober struct{ endpoints *webhook.Endpoints }

func (p prober) Probe(ctx context.Context, t webhooks.Target) webhooks.Probe {
	began := clock.Now()
	report, err := p.endpoints.Test(ctx, webhook.Endpoint(t))
	probe := webhooks.Probe{Delivered: err == nil, At: began, DurationMS: time.Since(began.Time).Milliseconds(), Response: report.Response}
	if report.StatusCode != 0 {
		probe.StatusCode = &report.StatusCode
	}
	if err != nil {
		probe.Error = err.Error()
	}
	return probe
}
