package runs

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
)

// suspect is what is read of a run before it is compared with its workflow.
type suspect struct {
	id, tenant uuid.UUID
	status     Status
	requestID  string
	held       bool
	place      Place // in a list that is ordered by a time
}

const suspectColumns = `id, tenant_id, status, request_id, status = 'queued' and held_by is not null`

func scanSuspect(row pgx.CollectableRow) (suspect, error) {
	var r suspect
	err := row.Scan(r.columns()...)
	return r, err
}

func (r *suspect) columns() []any { return []any{&r.id, &r.tenant, &r.status, &r.requestID, &r.held} }

// scanSuspectAt is scanSuspect for a list that is ordered by the time in its last column.
func scanSuspectAt(row pgx.CollectableRow) (suspect, error) {
	var r suspect
	err := row.Scan(append(r.columns(), &r.place.At)...)
	r.place.ID = r.id
	return r, err
}

// findEnd gives a run and what its connectors are owed: nil nothing by us, false an announcement, true it
// was made.
func (s store) findEnd(ctx context.Context, id uuid.UUID) (r suspect, told *bool, err error) {
	r, found, err := postgres.One(ctx, s.db, `select `+suspectColumns+`, end_told from agent_runs where id = $1`, []any{id},
		func(row pgx.CollectableRow) (suspect, error) {
			var r suspect
			err := row.Scan(append(r.columns(), &told)...)
			return r, err
		})
	return r, told, existing(id, found, err)
}

// oweEnd notes that the connectors are to be told of the run's end; claimed is false when somebody has
// noted that before.
func (s store) oweEnd(ctx context.Context, id uuid.UUID) (claimed bool, err error) {
	n, err := s.db.Exec(ctx, `update agent_runs set end_told = false where id = $1 and end_told is null`, id)
	return n == 1, err
}

func (s store) endTold(ctx context.Context, id uuid.UUID) error {
	_, err := s.db.Exec(ctx, `update agent_runs set end_told = true where id = $1`, id)
	return err
}

// undispatch lets the dispatcher start a queued run again, at most so many times; ok is false when it does not.
func (s store) undispatch(ctx context.Context, id uuid.UUID, most int) (ok bool, err error) {
	n, err := s.db.Exec(ctx, `update agent_runs set dispatched_at = null, restarts = restarts + 1
		where id = $1 and status = 'queued' and held_by is null and restarts < $2`, id, most)
	return n == 1, err
}

// untold returns runs that ended longer than age ago and whose connectors have yet to be told, the first that ended after a
// place first; across tenants.
func (s store) untold(ctx context.Context, age time.Duration, after Place, limit int) ([]suspect, error) {
	return postgres.All(ctx, s.db, `select `+suspectColumns+`, finished_at from agent_runs
		where end_told = false and finished_at < now() - $1::interval and (finished_at, id) > ($2::timestamptz, $3::uuid)
		order by finished_at, id limit $4`, []any{age, after.At, after.ID, limit}, scanSuspectAt)
}

// drifted gives those of the runs that have not ended, and those of the killed ones whose connectors nobody
// has told of the end on the workflow's behalf; across tenants.
func (s store) drifted(ctx context.Context, all, killed []uuid.UUID) ([]suspect, error) {
	if len(all) == 0 {
		return nil, nil
	}
	return postgres.All(ctx, s.db, `select `+suspectColumns+` from agent_runs
		where id = any($1) and (finished_at is null or end_told is null and id = any($2))`, []any{all, killed}, scanSuspect)
}

// unfinished gives a page of the runs that the engine should know, oldest first; across tenants. A queued
// one was handed over longer than age ago.
func (s store) unfinished(ctx context.Context, after uuid.UUID, age time.Duration, limit int) ([]suspect, error) {
	return postgres.All(ctx, s.db, `select `+suspectColumns+` from agent_runs
		where status in ('queued', 'running', 'waiting') and id > $1 and (status <> 'queued' or dispatched_at < now() - $2::interval)
		order by id limit $3`, []any{after, age, limit}, scanSuspect)
}
