package webhooks

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
)

// endpointsOf returns the first enabled endpoints that are told of one agent's runs only, and how many there are.
func (s store) endpointsOf(ctx context.Context, agent uuid.UUID, limit int) (found []uuid.UUID, total int, err error) {
	found, err = postgres.All(ctx, s.db, `select id, count(*) over () from webhook_endpoints
		where tenant_id = (select lari.tenant_id()) and agent_id = $1 and disabled_at is null order by id limit $2`,
		[]any{agent, limit}, func(r pgx.CollectableRow) (id uuid.UUID, err error) {
			err = r.Scan(&id, &total)
			return id, err
		})
	return found, total, err
}
