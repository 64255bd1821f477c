package schedules

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
)

// seen is what was last seen of a schedule in the engine. Counts below 0 are not known.
type seen struct {
	id, tenant      uuid.UUID
	skipped, missed int
}

// claim gives schedules that nobody has looked at for longer than age, the longest first, and says that somebody does;
// across tenants.
func (s store) claim(ctx context.Context, age time.Duration, limit int) ([]seen, error) {
	return postgres.All(ctx, s.db, `update schedules set seen_at = now() where id in (
			select id from schedules where state = 'active' and seen_at < now() - $1::interval order by seen_at limit $2 for update skip locked)
		returning id, tenant_id, seen_skipped, seen_missed`, []any{age, limit}, func(r pgx.CollectableRow) (row seen, err error) {
		err = r.Scan(&row.id, &row.tenant, &row.skipped, &row.missed)
		return row, err
	})
}

// saw writes what is seen now; false: somebody else has seen it meanwhile.
func (s store) saw(ctx context.Context, before, now seen, state State) (bool, error) {
	n, err := s.db.Exec(ctx, `update schedules set seen_state = $4, seen_skipped = $5, seen_missed = $6
		where id = $1 and seen_skipped = $2 and seen_missed = $3`, before.id, before.skipped, before.missed, state, now.skipped, now.missed)
	return n > 0, err
}

// setSeen is saw of a state that the platform brought about itself.
func (s store) setSeen(ctx context.Context, id uuid.UUID, state State) error {
	_, err := s.db.Exec(ctx, `update schedules set seen_state = $2 where id = $1`, id, state)
	return err
}

// StateCount is how many schedules of a tenant are in a state.
type StateCount struct {
	TenantID uuid.UUID
	State    State
	N        int64
}

// states counts schedules as they were last seen; across tenants.
func (s store) states(ctx context.Context) ([]StateCount, error) {
	return postgres.All(ctx, s.db, `select tenant_id, seen_state, count(*) from schedules where state = 'active' group by 1, 2`,
		nil, func(r pgx.CollectableRow) (c StateCount, err error) {
			err = r.Scan(&c.TenantID, &c.State, &c.N)
			return c, err
		})
}
