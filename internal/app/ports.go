package app

import (
	"context"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/connectors"
	auditconnector "github.com/larirun/lari/connectors/audit"
	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/deliveries"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/knowledge"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/internal/tenants"
	"github.com/larirun/lari/internal/threads"
	"github.com/larirun/lari/internal/tools"
)

// Domains do not know each other: the ports that one declares and another fills are joined here.

// agentPort shows agents to runs.
type agentPort struct {
	agents *agents.Service
	slugs  *tenantSlugs
	models modelCheck
}

func (p agentPort) ResolveAgent(ctx context.Context, ref string) (runs.AgentRef, error) {
	a, err := p.agents.FindAgent(ctx, ref)
	if err != nil {
		return runs.AgentRef{}, err
	}
	unusable := p.models.CheckModel(ctx, a.Config.Model, "agent")
	return runs.AgentRef{ID: a.ID, Slug: a.Slug, Tenant: p.slugs.of(ctx), Version: a.Version, Unusable: unusable, Limits: runs.Limits{
		MaxTokens: a.Config.MaxTokens, MaxCostUSD: a.Config.MaxCost(), MaxSteps: a.Config.MaxSteps,
		Timeout: a.Config.Timeout(), ApprovalTTL: a.Config.ApprovalTTL(),
	}}, nil
}

// tenantSlugs remembers the slugs of tenants, which never change.
type tenantSlugs struct {
	tenants *tenants.Service
	known   *lru.Cache[uuid.UUID, string]
}

func newTenantSlugs(t *tenants.Service) (*tenantSlugs, error) {
	known, err := lru.New[uuid.UUID, string](1000)
	return &tenantSlugs{t, known}, err
}

// of gives the slug of the context's tenant, or its id when it cannot be read: it is for people to see.
func (s *tenantSlugs) of(ctx context.Context) string {
	id := scope.Tenant(ctx)
	if slug, ok := s.known.Get(id); ok {
		return slug
	}
	t, err := s.tenants.FindTenantByID(ctx, id)
	if err != nil {
		return id.String()
	}
	s.known.Add(id, t.Slug)
	return t.Slug
}

// threadPort shows threads to runs.
type threadPort struct{ threads *threads.Service }

func (p threadPort) AppendMessages(ctx context.Context, thread, run uuid.UUID, messages []runs.InputMessage) error {
	added := make([]threads.NewMessage, 0, len(messages))
	for _, m := range messages {
		added = append(added, threads.NewMessage{Role: threads.Role(m.Role), Content: m.Content, RunID: &run})
	}
	return p.threads.Append(ctx, thread, added...)
}

func (p threadPort) WithdrawMessages(ctx context.Context, thread, run uuid.UUID) error {
	return p.threads.Withdraw(ctx, thread, run)
}

func (p threadPort) MessagesBefore(ctx context.Context, thread, run uuid.UUID) ([]runs.InputMessage, error) {
	before, err := p.threads.History(ctx, thread, run)
	messages := make([]runs.InputMessage, 0, len(before))
	for _, m := range before {
		messages = append(messages, runs.InputMessage{Role: string(m.Role), Content: m.Content})
	}
	return messages, err
}

// announcer shows the connectors to runs.
type announcer struct{ registry *connectors.Registry }

func (p announcer) Announce(ctx context.Context, r runs.Run, events []event.Event) error {
	for _, e := range events {
		if e.Type.Hook() == event.HookNone {
			continue
		}
		if err := p.registry.Announce(ctx, activities.ConnectorEvent(r, e)); err != nil {
			return err
		}
	}
	return nil
}

func (p announcer) Wants(r runs.Run, e event.Event) bool {
	return p.registry.Inline(activities.ConnectorEvent(r, e))
}

// outbox shows the connectors' deliveries to runs.
type outbox struct {
	registry   *connectors.Registry
	deliveries *deliveries.Service
}

func (p outbox) Listen(tenant uuid.UUID) (postgres.Statement, runs.Post) {
	var listeners []deliveries.Listener
	return p.deliveries.Listeners(tenant, &listeners), func(r runs.Run, events []runs.Posted) (postgres.Statement, func(), bool) {
		postings := make([]deliveries.Posting, 0, len(events))
		for _, e := range events {
			postings = append(postings, deliveries.Posting{
				Type: e.Type, Behind: e.Behind, Connectors: p.registry.Remote(activities.ConnectorEvent(r, e.Event)),
			})
		}
		return p.deliveries.Post(tenant, r.ID, r.AgentID, postings, listeners)
	}
}

// deliveryEngine shows the engine to deliveries.
type deliveryEngine struct{ engine connectors.Deliverer }

func (p deliveryEngine) Deliver(ctx context.Context, k deliveries.Key) error {
	d := connectors.Delivery{TenantID: k.TenantID, RunID: k.RunID, Seq: k.Seq, Connector: k.Connector, Round: k.Round}
	if k.EndpointID != nil {
		d.Target = k.EndpointID.String()
	}
	return p.engine.Deliver(ctx, d)
}

// trail shows the audit domain to its connector.
type trail struct{ audit *audit.Service }

func (p trail) Append(ctx context.Context, e auditconnector.Entry) error {
	return p.audit.Append(ctx, audit.Entry{
		Key: e.Key, At: e.At, Actor: e.Actor, Action: e.Action, ResourceType: "run", ResourceID: e.RunID.String(),
		Outcome: e.Outcome, RequestID: e.RequestID, Data: e.Data,
	})
}

// searcher shows knowledge to the tools.
type searcher struct {
	knowledge *knowledge.Service
	metrics   *telemetry.Knowledge
}

func (p searcher) Search(ctx context.Context, query string, limit int) ([]tools.Hit, error) {
	began := time.Now()
	hits, err := p.knowledge.Search(ctx, query, limit)
	p.metrics.Searched(err, time.Since(began), within(ctx))
	if err != nil {
		return nil, err
	}
	found := make([]tools.Hit, 0, len(hits))
	for _, h := range hits {
		found = append(found, tools.Hit{Title: h.Title, URI: h.URI, Snippet: h.Snippet, Content: h.Content, Score: h.Score})
	}
	return found, nil
}

// within says of which run and trace the work of the context is.
func within(ctx context.Context) telemetry.Exemplar {
	e := telemetry.Exemplar{TraceID: tracing.Sampled(ctx)}
	if run := scope.From(ctx).Run; run != uuid.Nil {
		e.RunID = run.String()
	}
	return e
}
