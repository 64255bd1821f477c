package runs

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
)

func (s store) stillActive(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	return postgres.All(ctx, s.db, `
		select id from agent_runs where id = any($1) and status in ('queued', 'running', 'waiting')`,
		[]any{ids}, pgx.RowTo[uuid.UUID])
}
