package schedules

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/storable"
)

// store is the SQL of schedules; store_*.go hold that of their changes and firings.
type store struct {
	db *postgres.DB
}

// rowState is where a row stands.
type rowState string

const (
	creating rowState = "creating" // the engine may not know it yet
	active   rowState = "active"
	deleting rowState = "deleting" // the engine may still know it
)

// row is what Postgres keeps of a schedule.
type row struct {
	id, tenant           uuid.UUID
	name                 string
	run                  Template
	state                rowState
	createdBy            string
	createdAt, updatedAt clock.Time
}

func notFound() error { return fault.New(fault.NotFound, "There is no such schedule.") }

const rowColumns = `id, tenant_id, name, run, state, created_by, created_at, updated_at`

const rowOfTenant = `select ` + rowColumns + ` from schedules where tenant_id = (select lari.tenant_id())`

func scanRow(r pgx.CollectableRow) (row, error) {
	var found row
	var run []byte
	if err := r.Scan(&found.id, &found.tenant, &found.name, &run, &found.state, &found.createdBy, &found.createdAt, &found.updatedAt); err != nil {
		return row{}, err
	}
	if err := json.Unmarshal(run, &found.run); err != nil {
		return row{}, fmt.Errorf("template of schedule %s: %w", found.id, err)
	}
	return found, nil
}

// find gives a schedule that callers see.
func (s store) find(ctx context.Context, id uuid.UUID) (row, error) {
	return s.one(ctx, rowOfTenant+` and id = $1 and state = 'active'`, id)
}

// any gives a schedule in whatever state.
func (s store) any(ctx context.Context, id uuid.UUID) (row, error) {
	return s.one(ctx, rowOfTenant+` and id = $1`, id)
}

// lock is find that holds the row until the transaction ends.
func (s store) lock(ctx context.Context, id uuid.UUID) (row, error) {
	return s.one(ctx, rowOfTenant+` and id = $1 and state = 'active' for no key update`, id)
}

func (s store) one(ctx context.Context, sql string, id uuid.UUID) (row, error) {
	r, ok, err := postgres.One(ctx, s.db, sql, []any{id}, scanRow)
	if err == nil && !ok {
		err = notFound()
	}
	return r, err
}

func (s store) list(ctx context.Context, before uuid.UUID, limit int) ([]row, error) {
	return postgres.All(ctx, s.db, rowOfTenant+` and state = 'active' and id < $1 order by id desc limit $2`, []any{before, limit}, scanRow)
}

// insert writes a row, unless one of that id exists or the tenant has as many as it may: limit is that number then.
// The lock makes the count hold until the row is written, whoever else counts.
func (s store) insert(ctx context.Context, r row) (written bool, limit int, err error) {
	run, err := storable.Marshal(r.run)
	if err != nil {
		return false, 0, fmt.Errorf("encode the template: %w", err)
	}
	err = s.db.Batch(ctx,
		postgres.Statement{SQL: `select pg_advisory_xact_lock(hashtextextended('lari.schedules:' || $1::text, 0))`, Args: []any{r.tenant.String()}},
		postgres.Statement{
			SQL:  `select coalesce(schedules, 2147483647) from lari.quotas_of($1)`,
			Args: []any{r.tenant}, Read: postgres.Row(&limit, nil, pgx.RowTo[int]),
		},
		postgres.Statement{
			SQL: `insert into schedules (` + rowColumns + `) select $1, $2, $3, $4, $5, $6, $7, $7
				where (select count(*) from schedules where tenant_id = $2 and state <> 'deleting')
					< (select coalesce(schedules, 2147483647) from lari.quotas_of($2))
				on conflict (id) do nothing returning true`,
			Args: []any{r.id, r.tenant, r.name, run, r.state, r.createdBy, r.createdAt}, Read: postgres.Row(&written, nil, pgx.RowTo[bool]),
		})
	return written, limit, err
}

func (s store) update(ctx context.Context, r row) error {
	run, err := storable.Marshal(r.run)
	if err != nil {
		return fmt.Errorf("encode the template: %w", err)
	}
	_, err = s.db.Exec(ctx, `update schedules set name = $2, run = $3, updated_at = $4 where id = $1`, r.id, r.name, run, r.updatedAt)
	return err
}

func (s store) setState(ctx context.Context, id uuid.UUID, to rowState, at clock.Time) error {
	n, err := s.db.Exec(ctx, `update schedules set state = $2, updated_at = $3 where id = $1`, id, to, at)
	if err == nil && n == 0 {
		err = notFound()
	}
	return err
}

func (s store) remove(ctx context.Context, id uuid.UUID) error {
	_, err := s.db.Exec(ctx, `delete from schedules where id = $1 and state <> 'active'`, id)
	return err
}

// claimUnsettled returns rows that have been between two states for longer than age, the longest first, and puts them behind
// the others: what cannot be cleared away must not stand in front for ever. Across tenants.
func (s store) claimUnsettled(ctx context.Context, age time.Duration, limit int) ([]row, error) {
	return postgres.All(ctx, s.db, `update schedules set updated_at = now() where id in (
			select id from schedules where state <> 'active' and updated_at < now() - $1::interval
			order by updated_at limit $2 for update skip locked)
		returning `+rowColumns, []any{age, limit}, scanRow)
}

// forget removes what became of firings longer than age ago, a page at a time; across tenants.
func (s store) forget(ctx context.Context, age time.Duration, limit int) (int64, error) {
	return s.db.Exec(ctx, `delete from schedule_firings where id in (
		select id from schedule_firings where fired_at < now() - $1::interval limit $2)`, age, limit)
}
