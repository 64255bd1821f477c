package tenants

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres"
)

// Filter narrows a list of tenants; zero fields do not.
type Filter struct {
	Status     []Status
	SlugPrefix string
}

// FindTenants gives the tenants that the context's caller may read, whichever tenant it acts in, newest
// first: all to the platform.
func (s *Service) FindTenants(ctx context.Context, f Filter, p page.Request) (page.Page[Tenant], error) {
	limit, before, err := p.StartBefore()
	if err != nil {
		return page.Page[Tenant]{}, err
	}
	found, err := s.store.list(postgres.AsSystem(ctx), f, readable(auth.From(ctx)), before, limit+1)
	return page.Of(found, limit, func(t Tenant) string { return t.ID.String() }), err
}

// readable gives the ids of the tenants that a caller may read; nil: all.
func readable(p *auth.Principal) []uuid.UUID {
	if p != nil && p.Service {
		return nil
	}
	ids := []uuid.UUID{}
	if p == nil {
		return ids
	}
	for id := range p.Tenants {
		if p.Can(id, auth.TenantRead) {
			ids = append(ids, id)
		}
	}
	return ids
}
