package tenants

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// Service is what can be done with tenants.
type Service struct {
	db    *postgres.DB
	store store
}

var _ auth.KeyStore = (*Service)(nil)

// NewService makes the service.
func NewService(db *postgres.DB) *Service { return &Service{db: db, store: store{db}} }

// CreateTenant makes a tenant with its default workspace; for the platform. A taken slug gives
// fault.Conflict.
func (s *Service) CreateTenant(ctx context.Context, n NewTenant) (Tenant, error) {
	t, err := n.build(now())
	if err != nil {
		return Tenant{}, err
	}
	w := Workspace{ID: newID(), TenantID: t.ID, Slug: DefaultWorkspace, Name: "Default", CreatedAt: t.CreatedAt}
	err = s.db.Tx(postgres.AsSystem(ctx), func(ctx context.Context) error {
		if err := s.store.insert(ctx, t); err != nil {
			return err
		}
		return s.store.insertWorkspace(ctx, w)
	})
	if err != nil {
		return Tenant{}, err
	}
	return t, nil
}

// FindTenantBySlug gives a tenant; for the platform.
func (s *Service) FindTenantBySlug(ctx context.Context, slug string) (Tenant, error) {
	return s.store.bySlug(postgres.AsSystem(ctx), slug)
}

// FindTenantByID gives the context's tenant, or any to the system.
func (s *Service) FindTenantByID(ctx context.Context, id uuid.UUID) (Tenant, error) {
	return s.store.byID(ctx, id)
}

// FindWorkspace gives a workspace of the context's tenant by its id or slug.
func (s *Service) FindWorkspace(ctx context.Context, ref string) (Workspace, error) {
	return s.store.workspace(ctx, ref)
}

// CreateKey makes an API key of the context's tenant. The secret is given once and kept nowhere.
func (s *Service) CreateKey(ctx context.Context, n NewKey) (k Key, plain string, err error) {
	caller := scope.From(ctx)
	k, hash, plain, err := n.build(caller.Tenant, caller.Actor, now())
	if err != nil {
		return Key{}, "", err
	}
	if err := s.store.insertKey(ctx, k, hash); err != nil {
		return Key{}, "", err
	}
	return k, plain, nil
}

// RevokeKey ends a key of the context's tenant; processes that have seen it forget it within
// 30 seconds. A key that was revoked before stays so.
func (s *Service) RevokeKey(ctx context.Context, id uuid.UUID) error {
	found, err := s.store.revokeKey(ctx, id, now())
	if err == nil && !found {
		err = fault.New(fault.NotFound, "There is no key %s.", id)
	}
	return err
}

// FindKey gives what a key is checked against. The tenant is not known yet, so it looks everywhere.
func (s *Service) FindKey(ctx context.Context, prefix string) (auth.KeyRecord, error) {
	return s.store.key(postgres.AsSystem(ctx), prefix)
}
