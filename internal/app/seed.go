package app

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/knowledge"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/tenants"
)

const (
	demoTenant = "demo"
	demoUser   = "00000000-0000-4000-8000-000000000001"
	demoAgent  = "assistant"
)

//go:embed seed.json
var seedDocuments []byte

// seed makes the tenant demo with an agent and a few documents. What is there already is left alone.
func (a *App) seed(ctx context.Context) (tenants.Tenant, error) {
	tenant, err := a.Tenants.FindTenantBySlug(ctx, demoTenant)
	if fault.Is(err, fault.NotFound) {
		tenant, err = a.Tenants.CreateTenant(ctx, tenants.NewTenant{Slug: demoTenant, Name: "Demo"})
	}
	if err != nil {
		return tenants.Tenant{}, err
	}
	ctx = scope.With(ctx, scope.Scope{Tenant: tenant.ID, Actor: "seed"})
	if _, err := a.Agents.FindAgent(ctx, demoAgent); fault.Is(err, fault.NotFound) {
		err = a.seedAgent(ctx)
		if err != nil {
			return tenants.Tenant{}, err
		}
	} else if err != nil {
		return tenants.Tenant{}, err
	}
	var documents []knowledge.Document
	if err := json.Unmarshal(seedDocuments, &documents); err != nil {
		return tenants.Tenant{}, fmt.Errorf("read the seed's documents: %w", err)
	}
	return tenant, a.Knowledge.Add(ctx, documents...)
}

func (a *App) seedAgent(ctx context.Context) error {
	_, err := a.Agents.CreateAgent(ctx, agents.NewAgent{
		Slug: demoAgent, Name: "Assistant", Description: "Answers questions from the tenant's documents.",
		Config: agents.Config{
			Instructions: "You are a helpful assistant. Search the tenant's knowledge before you answer, and cite the documents that you use. Say so when they do not hold the answer.",
			Tools:        []agents.ToolRef{{Name: "knowledge_search"}, {Name: "current_time"}, {Name: "calculator"}, {Name: "http_get"}},
		},
	})
	return err
}
