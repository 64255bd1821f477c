package deliveries

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
)

func (s store) backlog(ctx context.Context) (Backlog, error) {
	b, _, err := postgres.One(ctx, s.db, `
		select (select count(*) from webhook_endpoints where status = 'disabled' and deleted_at is null),
			(select count(*) from deliveries where status = 'pending'),
			(select coalesce(extract(epoch from now() - min(created_at)), 0)::float8 from deliveries where status = 'pending')`, nil,
		func(row pgx.CollectableRow) (b Backlog, err error) {
			var age float64
			err = row.Scan(&b.DisabledEndpoints, &b.Pending, &age)
			b.Oldest = time.Duration(age * float64(time.Second))
			return b, err
		})
	return b, err
}
