package webhooks

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/postgres"
)

const targetSelect = `select e.id, e.url, e.fields, coalesce(h.headers, '{}'),
		array(select s.secret from webhook_secrets s
			where s.tenant_id = e.tenant_id and s.endpoint_id = e.id and (s.expires_at is null or s.expires_at > now())
			order by s.created_at desc, s.id desc),
		case when e.status = 'enabled' then '' else e.disabled_reason end, e.failing_since
	from webhook_endpoints e left join webhook_headers h on h.endpoint_id = e.id
	where e.tenant_id = (select lari.tenant_id()) and e.id = $1`

func scanTarget(row pgx.CollectableRow) (t Target, err error) {
	err = row.Scan(&t.ID, &t.URL, &t.Fields, &t.Headers, &t.Secrets, &t.Disabled, &t.FailingSince)
	return t, err
}

func (s store) oneTarget(ctx context.Context, sql string, id uuid.UUID) (Target, error) {
	t, ok, err := postgres.One(ctx, s.db, sql, []any{id}, scanTarget)
	if err == nil && !ok {
		err = missing()
	}
	return t, err
}

func (s store) target(ctx context.Context, id uuid.UUID) (Target, error) {
	return s.oneTarget(ctx, targetSelect+` and e.deleted_at is null`, id)
}

// anyTarget finds deleted endpoints too.
func (s store) anyTarget(ctx context.Context, id uuid.UUID) (Target, error) {
	return s.oneTarget(ctx, targetSelect, id)
}

// begin notes the first failure after a success.
func (s store) begin(ctx context.Context, id uuid.UUID, at clock.Time) error {
	_, err := s.db.Exec(ctx, `update webhook_endpoints set failing_since = $2 where id = $1 and failing_since is null and status = 'enabled'`, id, at)
	return err
}

func (s store) recover(ctx context.Context, id uuid.UUID) error {
	_, err := s.db.Exec(ctx, `update webhook_endpoints set failing_since = null where id = $1 and failing_since is not null`, id)
	return err
}

// disable gives whether the endpoint was enabled before.
func (s store) disable(ctx context.Context, id uuid.UUID, at clock.Time, reason string) (changed bool, err error) {
	n, err := s.db.Exec(ctx, `update webhook_endpoints set status = 'disabled', disabled_at = $2, disabled_reason = $3, updated_at = $2
		where id = $1 and status = 'enabled'`, id, at, reason)
	return n == 1, err
}

func (s store) enable(ctx context.Context, id uuid.UUID, at clock.Time) error {
	_, err := s.db.Exec(ctx, `update webhook_endpoints set status = 'enabled', disabled_at = null, disabled_reason = '', failing_since = null,
			updated_at = $2
		where id = $1 and status = 'disabled' and deleted_at is null`, id, at)
	return err
}
