package quotas

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/ratelimit"
)

// lease takes up to n requests out of the bucket.
func (s store) lease(ctx context.Context, tenant uuid.UUID, n int) (ratelimit.Grant, error) {
	g, _, err := postgres.One(ctx, s.db, `select coalesce(per_minute, 0), coalesce(granted, 0), coalesce(remaining, 0), coalesce(burst, 0),
			coalesce(every, 0), coalesce(next_in, 0)
		from lari.lease_requests($1, $2)`, []any{tenant, n}, func(row pgx.CollectableRow) (ratelimit.Grant, error) {
		var g ratelimit.Grant
		var every, nextIn float64
		err := row.Scan(&g.Limit, &g.Granted, &g.Remaining, &g.Burst, &every, &nextIn)
		g.Every, g.NextIn = seconds(every), seconds(nextIn)
		return g, err
	})
	return g, err
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
