package control

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

type store struct {
	db *postgres.DB
}

const settingColumns = `state, new_runs, reason, changed_by, changed_at`

func scanSetting(row pgx.CollectableRow) (Setting, error) {
	var s Setting
	err := row.Scan(&s.State, &s.NewRuns, &s.Reason, &s.ChangedBy, &s.ChangedAt)
	return s, err
}

func missing() error { return fault.New(fault.NotFound, "There is no such tenant.") }

// settings gives what holds for the tenant of the context, and its status.
func (s store) settings(ctx context.Context, tenant uuid.UUID) (own, platform Setting, status string, err error) {
	var found bool
	err = s.db.Batch(ctx,
		postgres.Statement{SQL: `select status from tenants where id = $1`, Args: []any{tenant}, Read: postgres.Row(&status, &found, pgx.RowTo[string])},
		postgres.Statement{SQL: `select ` + settingColumns + ` from daemon_states where tenant_id = $1`, Args: []any{tenant}, Read: postgres.Row(&own, nil, scanSetting)},
		postgres.Statement{SQL: `select ` + settingColumns + ` from platform_state`, Read: postgres.Row(&platform, nil, scanSetting)})
	if err == nil && !found {
		err = missing()
	}
	return own, platform, status, err
}

// set writes the tenant's setting; one that says the same is left as it is, with its time.
func (s store) set(ctx context.Context, tenant uuid.UUID, to Setting) error {
	_, err := s.db.Exec(ctx, `
		insert into daemon_states as d (tenant_id, state, new_runs, reason, changed_by, changed_at) values ($1, $2, $3, $4, $5, $6)
		on conflict (tenant_id) do update set state = excluded.state, new_runs = excluded.new_runs, reason = excluded.reason,
			changed_by = excluded.changed_by, changed_at = excluded.changed_at
		where (d.state, d.new_runs, d.reason) is distinct from (excluded.state, excluded.new_runs, excluded.reason)`,
		tenant, to.State, to.NewRuns, to.Reason, to.ChangedBy, to.ChangedAt)
	if postgres.ForeignKeyViolation(err) != "" {
		return missing()
	}
	return err
}

// resume ends what holds for the tenant by itself; where nothing does, nothing changes.
func (s store) resume(ctx context.Context, tenant uuid.UUID, reason, by string, at clock.Time) error {
	_, err := s.db.Exec(ctx, `update daemon_states set state = 'running', new_runs = 'refuse', reason = $2, changed_by = $3, changed_at = $4
		where tenant_id = $1 and state <> 'running'`, tenant, reason, by, at)
	return err
}

// platform gives the platform's setting, and how many tenants are paused or draining by themselves.
func (s store) platform(ctx context.Context) (p Setting, tenants int64, err error) {
	err = s.db.Batch(ctx,
		postgres.Statement{SQL: `select ` + settingColumns + ` from platform_state`, Read: postgres.Row(&p, nil, scanSetting)},
		postgres.Statement{SQL: `select count(*) from daemon_states where state <> 'running'`, Read: postgres.Row(&tenants, nil, pgx.RowTo[int64])})
	return p, tenants, err
}

func (s store) setPlatform(ctx context.Context, to Setting) error {
	_, err := s.db.Exec(ctx, `
		insert into platform_state as p (state, new_runs, reason, changed_by, changed_at) values ($1, $2, $3, $4, $5)
		on conflict (singleton) do update set state = excluded.state, new_runs = excluded.new_runs, reason = excluded.reason,
			changed_by = excluded.changed_by, changed_at = excluded.changed_at
		where (p.state, p.new_runs, p.reason) is distinct from (excluded.state, excluded.new_runs, excluded.reason)`,
		to.State, to.NewRuns, to.Reason, to.ChangedBy, to.ChangedAt)
	return err
}

func (s store) resumePlatform(ctx context.Context, reason, by string, at clock.Time) error {
	_, err := s.db.Exec(ctx, `update platform_state set state = 'running', new_runs = 'refuse', reason = $1, changed_by = $2, changed_at = $3
		where state <> 'running'`, reason, by, at)
	return err
}
