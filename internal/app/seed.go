package app

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/larirun/lari/internal/knowledge"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/tenants"
)

const (
	// DemoTenant is the slug of the tenant that lari dev seeds.
	DemoTenant = "demo"
	demoUser   = "00000000-0000-4000-8000-000000000001"
)

//go:embed seed.json
var seedDocuments []byte

// seed creates the tenant demo with its agent and a few documents. What exists already stays as it is.
func (a *App) seed(ctx context.Context) (tenants.Tenant, error) {
	tenant, err := a.Tenants.FindTenantBySlug(ctx, DemoTenant)
	if fault.Is(err, fault.NotFound) {
		tenant, err = a.Tenants.CreateTenant(ctx, tenants.NewTenant{Slug: DemoTenant, Name: "Demo"})
	}
	if err != nil {
		return tenants.Tenant{}, err
	}
	ctx = scope.With(ctx, scope.Scope{Tenant: tenant.ID, Actor: "seed"})
	if _, err := a.ensureAssistant(ctx); err != nil {
		return tenants.Tenant{}, err
	}
	var documents []knowledge.Document
	if err := json.Unmarshal(seedDocuments, &documents); err != nil {
		return tenants.Tenant{}, fmt.Errorf("read the seed's documents: %w", err)
	}
	return tenant, a.Knowledge.Add(ctx, documents...)
}
