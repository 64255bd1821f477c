package webhooks

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

func (s store) insertSecret(ctx context.Context, endpoint, id uuid.UUID, secret string, at clock.Time) error {
	_, err := s.db.Exec(ctx, `insert into webhook_secrets (id, tenant_id, endpoint_id, secret, created_at) values ($1, $2, $3, $4, $5)`,
		id, scope.Tenant(ctx), endpoint, secret, at)
	return err
}

// secret gives the value of a secret that signs, "" for none.
func (s store) secret(ctx context.Context, endpoint, id uuid.UUID) (string, error) {
	value, _, err := postgres.One(ctx, s.db, `select secret from webhook_secrets where id = $1 and endpoint_id = $2 and (expires_at is null or expires_at > now())`,
		[]any{id, endpoint}, pgx.RowTo[string])
	return value, err
}

// lockSecrets holds the endpoint, removes its expired secrets and tells whether it has the one of that id
// and how many sign.
func (s store) lockSecrets(ctx context.Context, endpoint, id uuid.UUID) (known bool, live int, err error) {
	var found bool
	err = s.db.Batch(ctx,
		postgres.Statement{
			SQL:  `select true from webhook_endpoints where id = $1 and deleted_at is null for no key update`,
			Args: []any{endpoint}, Read: postgres.Row(&found, nil, pgx.RowTo[bool]),
		},
		postgres.Statement{
			SQL:  `select true from webhook_secrets where endpoint_id = $1 and id = $2`,
			Args: []any{endpoint, id}, Read: postgres.Row(&known, nil, pgx.RowTo[bool]),
		},
		postgres.Statement{SQL: `delete from webhook_secrets where endpoint_id = $1 and expires_at <= now()`, Args: []any{endpoint}},
		postgres.Statement{
			SQL: `select count(*) from webhook_secrets where endpoint_id = $1`, Args: []any{endpoint}, Read: postgres.Row(&live, nil, pgx.RowTo[int]),
		})
	if err == nil && !found {
		err = missing()
	}
	return known, live, err
}

// expireSecrets ends the secrets of an endpoint after the overlap, none later than it would have ended.
func (s store) expireSecrets(ctx context.Context, endpoint uuid.UUID, at clock.Time, overlap time.Duration) error {
	if overlap <= 0 {
		_, err := s.db.Exec(ctx, `delete from webhook_secrets where endpoint_id = $1`, endpoint)
		return err
	}
	_, err := s.db.Exec(ctx, `update webhook_secrets set expires_at = least(expires_at, $2) where endpoint_id = $1`, endpoint, at.Add(overlap))
	return err
}
