package quotas

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/ratelimit"
	"github.com/larirun/lari/internal/platform/scope"
)

// source is who set limits.
type source string

const (
	sourcePlatform source = "platform"
	sourceTenant   source = "tenant"
)

// Service keeps the limits of tenants and the account of what they use. Each method acts for the tenant of
// the context.
type Service struct {
	store store
}

// NewService makes the service.
func NewService(db *postgres.DB) *Service { return &Service{store{db}} }

// Find gives the limits of a tenant and what is used of them; fault.NotFound for another tenant than the
// context's.
func (s *Service) Find(ctx context.Context, tenant uuid.UUID) (Quotas, error) {
	if err := own(ctx, tenant); err != nil {
		return Quotas{}, err
	}
	of, u, err := s.store.find(ctx, tenant)
	if err != nil {
		return Quotas{}, err
	}
	q := Quotas{TenantID: tenant, Platform: of.rows[sourcePlatform], Tenant: of.rows[sourceTenant], Default: of.byDefault, Effective: of.effective()}
	q.Usage = usage(q.Effective, u, time.Now())
	return q, nil
}

// Limit gives what holds for the context's tenant.
func (s *Service) Limit(ctx context.Context) (Limits, error) {
	of, err := s.store.read(ctx, scope.Tenant(ctx))
	return of.effective(), err
}

// ReplaceDefaults sets the limits of every tenant of which the platform says no other.
func (s *Service) ReplaceDefaults(ctx context.Context, l Limits) error {
	if err := l.check(); err != nil {
		return err
	}
	return s.store.replaceDefaults(postgres.AsSystem(ctx), l)
}

// Replace sets all that the caller says of a tenant's limits: the platform when that calls, else the tenant.
func (s *Service) Replace(ctx context.Context, tenant uuid.UUID, l Limits) (Quotas, error) {
	if err := own(ctx, tenant); err != nil {
		return Quotas{}, err
	}
	if err := l.check(); err != nil {
		return Quotas{}, err
	}
	by := sourceTenant
	writing := ctx
	if p := auth.From(ctx); p != nil && p.Service {
		by, writing = sourcePlatform, postgres.AsSystem(ctx)
	}
	if err := s.store.replace(writing, tenant, by, l, scope.From(ctx).Actor); err != nil {
		return Quotas{}, err
	}
	return s.Find(ctx, tenant)
}

// own refuses another tenant than the context's as if there were none.
func own(ctx context.Context, tenant uuid.UUID) error {
	if tenant != scope.Tenant(ctx) || tenant == uuid.Nil {
		return missing(tenant)
	}
	return nil
}

func missing(tenant uuid.UUID) error {
	return fault.New(fault.NotFound, "There is no tenant %s.", tenant)
}

// Lease takes requests out of a tenant's bucket.
func (s *Service) Lease(ctx context.Context, tenant uuid.UUID, n int) (ratelimit.Grant, error) {
	return s.store.lease(ctx, tenant, n)
}
