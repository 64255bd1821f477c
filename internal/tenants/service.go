package tenants

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// Service is what can be done with tenants. Unless it says otherwise a method acts for the tenant of the
// context, and gives fault.NotFound when that does not exist.
type Service struct {
	db        *postgres.DB
	store     store
	uses      uses
	provision func(ctx context.Context) error
}

// Option changes how the service is made.
type Option func(*Service)

// WithProvisioning makes CreateTenant call provision for each tenant that it creates, in the same transaction
// and in the scope of the new tenant: a tenant exists with what every tenant starts with, or not at all.
func WithProvisioning(provision func(ctx context.Context) error) Option {
	return func(s *Service) { s.provision = provision }
}

var _ auth.KeyStore = (*Service)(nil)

// NewService makes the service.
func NewService(db *postgres.DB, options ...Option) *Service {
	s := &Service{db: db, store: store{db}, uses: newUses(), provision: func(context.Context) error { return nil }}
	for _, apply := range options {
		apply(s)
	}
	return s
}

// CreateTenant makes a tenant with its default workspace and what WithProvisioning adds; for the platform. A
// taken slug gives fault.Conflict. For a NewTenant whose id is known it gives the tenant that exists.
func (s *Service) CreateTenant(ctx context.Context, n NewTenant) (Tenant, error) {
	t, err := n.build(now())
	if err != nil {
		return Tenant{}, err
	}
	w := Workspace{ID: newID(), TenantID: t.ID, Slug: DefaultWorkspace, Name: "Default", CreatedAt: t.CreatedAt}
	system := postgres.AsSystem(ctx)
	created := false
	err = s.db.Tx(system, func(ctx context.Context) error {
		if created, err = s.store.insert(ctx, t); err != nil || !created {
			return err
		}
		if err := s.store.insertWorkspace(ctx, w); err != nil {
			return err
		}
		return s.provision(postgres.AsTenant(scope.With(ctx, scope.Scope{Tenant: t.ID, Actor: scope.From(ctx).Actor, RequestID: scope.From(ctx).RequestID})))
	})
	if err != nil {
		return Tenant{}, err
	}
	if created {
		return t, nil
	}
	known, err := s.store.byID(system, t.ID)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.Conflict, "Another tenant has the slug %s.", t.Slug)
	}
	return known, err
}

// FindTenantBySlug gives a tenant; for the platform.
func (s *Service) FindTenantBySlug(ctx context.Context, slug string) (Tenant, error) {
	return s.store.bySlug(postgres.AsSystem(ctx), slug)
}

// FindTenantByID gives the context's tenant, or any to the system.
func (s *Service) FindTenantByID(ctx context.Context, id uuid.UUID) (Tenant, error) {
	return s.store.byID(ctx, id)
}

// Find gives the tenant.
func (s *Service) Find(ctx context.Context) (Tenant, error) {
	return s.store.byID(ctx, scope.Tenant(ctx))
}

// Update changes the tenant.
func (s *Service) Update(ctx context.Context, u Update) (Tenant, error) {
	if u.Name == nil {
		return s.Find(ctx)
	}
	name, err := goodName(*u.Name)
	if err != nil {
		return Tenant{}, err
	}
	return s.store.rename(ctx, scope.Tenant(ctx), name, now())
}

// Suspend lets the tenant begin nothing new until it is resumed; what runs finishes. For one that is
// suspended it sets the reason. fault.Conflict for one that is being deleted.
func (s *Service) Suspend(ctx context.Context, reason string) (Tenant, error) {
	return s.become(ctx, Suspended, reason)
}

// Resume takes a suspension back; an active tenant stays as it is. fault.Conflict for one that is being
// deleted.
func (s *Service) Resume(ctx context.Context) (Tenant, error) {
	return s.become(ctx, Active, "")
}

func (s *Service) become(ctx context.Context, status Status, reason string) (Tenant, error) {
	t, changed, err := s.store.setStatus(ctx, scope.Tenant(ctx), status, reason, now())
	if err != nil || changed {
		return t, err
	}
	if _, err := s.Find(ctx); err != nil {
		return Tenant{}, err
	}
	return Tenant{}, fault.New(fault.Conflict, "The tenant is being deleted: cancel its deletion first.")
}

// FindKey gives what a key is checked against. The tenant is not known yet, so it looks everywhere. The keys
// of a tenant that is being deleted count as revoked.
func (s *Service) FindKey(ctx context.Context, prefix string) (auth.KeyRecord, error) {
	return s.store.key(postgres.AsSystem(ctx), prefix)
}

// FindKeys returns what several keys are checked against, in one query. See FindKey.
func (s *Service) FindKeys(ctx context.Context, prefixes []string) ([]auth.KeyRecord, error) {
	return s.store.keysByPrefix(postgres.AsSystem(ctx), prefixes)
}

// FindStandings returns what the database says of memberships of any tenants, in their order.
func (s *Service) FindStandings(ctx context.Context, of []auth.Membership) ([]auth.Standing, error) {
	return s.store.standings(postgres.AsSystem(ctx), of)
}
