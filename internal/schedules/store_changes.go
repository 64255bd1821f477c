package schedules

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// changeKind is what was done with a schedule.
type changeKind string

const (
	changeCreated     changeKind = "created"
	changeRespecified changeKind = "respecified" // the spec or the overlap policy is another one since
	changeUpdated     changeKind = "updated"
	changePaused      changeKind = "paused"
	changeResumed     changeKind = "resumed"
	changeTriggered   changeKind = "triggered"
	changeBackfilled  changeKind = "backfilled"
	changeSkipped     changeKind = "skipped"
)

// change is one entry of what was done with a schedule. from and to are the firing times that it is about.
type change struct {
	id, tenant, schedule uuid.UUID
	kind                 changeKind
	note                 string
	from, to             *time.Time
	by                   string
	at                   clock.Time
}

func (s *Service) change(ctx context.Context, id uuid.UUID, kind changeKind) change {
	caller := scope.From(ctx)
	return change{id: newID(), tenant: caller.Tenant, schedule: id, kind: kind, by: caller.Actor, at: clock.Now()}
}

const changeColumns = `id, tenant_id, schedule_id, kind, note, from_at, to_at, changed_by, changed_at`

func (c change) values() []any {
	return []any{c.id, c.tenant, c.schedule, c.kind, c.note, c.from, c.to, c.by, c.at}
}

func scanChange(r pgx.CollectableRow) (c change, err error) {
	err = r.Scan(&c.id, &c.tenant, &c.schedule, &c.kind, &c.note, &c.from, &c.to, &c.by, &c.at)
	return c, err
}

func (s store) addChange(ctx context.Context, c change) error {
	_, err := s.db.Exec(ctx, `insert into schedule_changes (`+changeColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, c.values()...)
	return ofNothing(err)
}

// ofNothing gives a change of a schedule that was deleted since it was read the word for that.
func ofNothing(err error) error {
	if postgres.ForeignKeyViolation(err) != "" {
		return notFound()
	}
	return err
}

// addTrigger is addChange, unless there is another trigger for the same second.
func (s store) addTrigger(ctx context.Context, c change) (added bool, err error) {
	err = s.db.Batch(ctx,
		postgres.Statement{SQL: `select from schedules where id = $1 for no key update`, Args: []any{c.schedule}},
		postgres.Statement{
			SQL: `insert into schedule_changes (` + changeColumns + `) select $1, $2, $3, $4, $5, $6, $7, $8, $9
				where not exists (select from schedule_changes where tenant_id = $2 and schedule_id = $3 and kind = 'triggered' and from_at = $6)
				returning true`,
			Args: c.values(), Read: postgres.Row(&added, nil, pgx.RowTo[bool]),
		})
	return added, ofNothing(err)
}

func (s store) removeChange(ctx context.Context, id uuid.UUID) error {
	_, err := s.db.Exec(ctx, `delete from schedule_changes where id = $1`, id)
	return err
}

// changes gives what was done with a schedule up to a time and bears on its firings, in order. Of triggers and
// backfills there is nothing in it: their firings say so themselves.
func (s store) changes(ctx context.Context, schedule uuid.UUID, to time.Time) ([]change, error) {
	return postgres.All(ctx, s.db, `select `+changeColumns+` from schedule_changes
		where tenant_id = (select lari.tenant_id()) and schedule_id = $1 and changed_at <= $2
			and kind in ('created', 'respecified', 'paused', 'resumed')
		order by changed_at, id`, []any{schedule, to}, scanChange)
}

// skips gives the firing times of a span that were left out on request.
func (s store) skips(ctx context.Context, schedule uuid.UUID, from, to time.Time) ([]change, error) {
	return postgres.All(ctx, s.db, `select `+changeColumns+` from schedule_changes
		where tenant_id = (select lari.tenant_id()) and schedule_id = $1 and kind = 'skipped' and from_at between $2 and $3`,
		[]any{schedule, from, to}, scanChange)
}

// kindOf says what brought about the firing of a nominal time.
func (s store) kindOf(ctx context.Context, schedule uuid.UUID, nominal time.Time) (Kind, error) {
	kind, ok, err := postgres.One(ctx, s.db, `select case kind when 'triggered' then 'trigger' else 'backfill' end from schedule_changes
		where tenant_id = (select lari.tenant_id()) and schedule_id = $1 and changed_at >= $2::timestamptz - interval '1 minute'
			and (kind = 'triggered' and from_at = $2 or kind = 'backfilled' and $2 between from_at and to_at)
		order by kind desc limit 1`, []any{schedule, nominal}, pgx.RowTo[Kind])
	if err == nil && !ok {
		kind = KindSchedule
	}
	return kind, err
}
