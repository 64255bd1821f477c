package runs

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
)

// Each half walks an index of its own that holds unfinished runs only.
const (
	countUnfinishedSQL = `
		select (select count(*) from agent_runs where tenant_id = (select lari.tenant_id()) and status in ('running', 'waiting')),
			(select count(*) from agent_runs where tenant_id = (select lari.tenant_id()) and status = 'queued' and held_by is null),
			(select count(*) from agent_runs where tenant_id = (select lari.tenant_id()) and status = 'queued' and held_by is not null)`
	countAllUnfinishedSQL = `
		select (select count(*) from agent_runs where status in ('queued', 'running', 'waiting') and held_by is null and status <> 'queued'),
			(select count(*) from agent_runs where status in ('queued', 'running', 'waiting') and held_by is null and status = 'queued'),
			(select count(*) from agent_runs where status = 'queued' and held_by is not null)`
)

func (s store) countUnfinished(ctx context.Context) (Counts, error) {
	c, _, err := postgres.One(ctx, s.db, countUnfinishedSQL, nil, scanCounts)
	return c, err
}

func (s store) countAllUnfinished(ctx context.Context) (Counts, error) {
	c, _, err := postgres.One(ctx, s.db, countAllUnfinishedSQL, nil, scanCounts)
	return c, err
}

func scanCounts(row pgx.CollectableRow) (Counts, error) {
	var c Counts
	err := row.Scan(&c.Active, &c.Queued, &c.Held)
	return c, err
}

func (s store) countHeld(ctx context.Context) (map[Hold]int64, error) {
	type held struct {
		by Hold
		n  int64
	}
	rows, err := postgres.All(ctx, s.db, `
		select held_by, count(*) from agent_runs where status = 'queued' and held_by is not null group by held_by`, nil,
		func(row pgx.CollectableRow) (h held, err error) {
			err = row.Scan(&h.by, &h.n)
			return h, err
		})
	counts := map[Hold]int64{}
	for _, h := range rows {
		counts[h.by] = h.n
	}
	return counts, err
}

// queue counts from when a run was handed to the engine: one that was held may be much older.
func (s store) queue(ctx context.Context) (Queue, error) {
	q, _, err := postgres.One(ctx, s.db, `
		select count(*), coalesce(extract(epoch from now() - min(coalesce(dispatched_at, greatest(created_at, due_at)))), 0)::float8
		from agent_runs where status in ('queued', 'running', 'waiting') and status = 'queued' and held_by is null`, nil,
		func(row pgx.CollectableRow) (q Queue, err error) {
			var age float64
			err = row.Scan(&q.Runs, &age)
			q.Oldest = time.Duration(age * float64(time.Second))
			return q, err
		})
	return q, err
}
