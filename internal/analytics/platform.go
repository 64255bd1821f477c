package analytics

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/postgres"
)

// PlatformQuery is a question about all tenants.
type PlatformQuery struct {
	Query
	TenantID *uuid.UUID // only of this one
}

// PlatformUsage sums up the steps of every tenant. Without a bucket it is one for the whole span: a thousand
// tenants have many rows.
func (s *Service) PlatformUsage(ctx context.Context, q PlatformQuery) (PlatformUsage, error) {
	if q.Bucket == "" {
		q.Bucket = Total
	}
	q.tenant = q.TenantID
	p, err := q.Query.plan(KindUsage, []Dimension{ByTenant, ByAgent, ByWorkspace, ByModel}, time.Now())
	if err != nil {
		return PlatformUsage{}, err
	}
	found, err := s.store.platformUsage(postgres.AsSystem(ctx), p)
	if err != nil {
		return PlatformUsage{}, err
	}
	u := PlatformUsage{Span: p.span()}
	u.Rows, err = grid(p, found, func(c Cell, g group, f UsageFigures) TenantUsageRow {
		u.Totals.add(f)
		return TenantUsageRow{known(g.tenant), c, f}
	})
	return u, err
}
