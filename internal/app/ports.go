package app

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/connectors"
	auditconnector "github.com/larirun/lari/connectors/audit"
	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/knowledge"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/internal/threads"
	"github.com/larirun/lari/internal/tools"
)

// Domains do not know each other: the ports that one declares and another fills are joined here.

// agentPort shows agents to runs.
type agentPort struct{ agents *agents.Service }

func (p agentPort) ResolveAgent(ctx context.Context, ref string) (runs.AgentRef, error) {
	a, err := p.agents.FindAgent(ctx, ref)
	if err != nil {
		return runs.AgentRef{}, err
	}
	return runs.AgentRef{ID: a.ID, Slug: a.Slug, Version: a.Version, Limits: runs.Limits{
		MaxTokens: a.Config.MaxTokens, MaxCostUSD: a.Config.MaxCost(), MaxSteps: a.Config.MaxSteps,
		Timeout: a.Config.Timeout(), ApprovalTTL: a.Config.ApprovalTTL(),
	}}, nil
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

// trail shows the audit domain to its connector.
type trail struct{ audit *audit.Service }

func (p trail) Append(ctx context.Context, e auditconnector.Entry) error {
	return p.audit.Append(ctx, audit.Entry{
		Key: e.Key, At: e.At, Actor: e.Actor, Action: e.Action, ResourceType: "run", ResourceID: e.RunID.String(),
		Outcome: e.Outcome, RequestID: e.RequestID, Data: e.Data,
	})
}

// searcher shows knowledge to the tools.
type searcher struct{ knowledge *knowledge.Service }

func (p searcher) Search(ctx context.Context, query string, limit int) ([]tools.Hit, error) {
	hits, err := p.knowledge.Search(ctx, query, limit)
	if err != nil {
		return nil, err
	}
	found := make([]tools.Hit, 0, len(hits))
	for _, h := range hits {
		found = append(found, tools.Hit{Title: h.Title, URI: h.URI, Snippet: h.Snippet, Content: h.Content, Score: h.Score})
	}
	return found, nil
}
