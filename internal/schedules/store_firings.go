package schedules

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

// firingOutcome is what became of a firing that reached the platform.
type firingOutcome string

const (
	outcomeWaiting   firingOutcome = "waiting" // for the end of a pause
	outcomeStarted   firingOutcome = "started"
	outcomeRefused   firingOutcome = "refused"
	outcomeCancelled firingOutcome = "cancelled" // while it waited
)

// firing is the record of one. Its id is that of its run.
type firing struct {
	id, tenant, schedule uuid.UUID
	key                  uuid.UUID // of the Firing; written, not read
	nominal              time.Time
	kind                 Kind
	outcome              firingOutcome
	code                 fault.Code
	detail               string
	at                   clock.Time // it reached the platform
	run                  *string    // the run's status; nil: there is no run, or no longer
	ended                *clock.Time
}

func (f firing) fired() Fired {
	if f.outcome == outcomeStarted {
		return Fired{RunID: &f.id}
	}
	return Fired{Code: f.code, Detail: f.detail}
}

// settled is the firing for metrics.
func (f firing) settled() Settled {
	done := Settled{TenantID: f.tenant, N: 1, Outcome: FiringRefused, Code: f.code}
	if f.outcome == outcomeStarted {
		done.Outcome, done.RunID = FiringStarted, f.id
		if f.kind == KindSchedule {
			done.Late = f.at.Time.Sub(f.nominal)
		}
	}
	return done
}

const firingSelect = `select f.id, f.tenant_id, f.schedule_id, f.nominal_at, f.kind, f.outcome, f.code, f.detail, f.fired_at, r.status, r.finished_at
	from schedule_firings f left join agent_runs r on r.tenant_id = f.tenant_id and r.id = f.id and f.outcome = 'started'
	where f.tenant_id = (select lari.tenant_id())`

func scanFiring(r pgx.CollectableRow) (f firing, err error) {
	err = r.Scan(&f.id, &f.tenant, &f.schedule, &f.nominal, &f.kind, &f.outcome, &f.code, &f.detail, &f.at, &f.run, &f.ended)
	return f, err
}

// firing returns the record of a firing, if it was brought before.
func (s store) firing(ctx context.Context, f Firing) (firing, bool, error) {
	return postgres.One(ctx, s.db, firingSelect+` and (f.firing_key = $1 or f.id = $2)`, []any{f.key(), f.nominalID()}, scanFiring)
}

// record writes what became of a firing. One that waited before keeps the time at which it came, and gets the id of
// the latest attempt: ids are as old as their runs. errConcluded: another attempt was faster.
func (s store) record(ctx context.Context, f firing) error {
	n, err := s.db.Exec(ctx, `insert into schedule_firings as f (id, tenant_id, schedule_id, nominal_at, kind, outcome, code, detail, fired_at, firing_key)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		on conflict (firing_key) do update set id = excluded.id, outcome = excluded.outcome, code = excluded.code, detail = excluded.detail
		where f.outcome = 'waiting'`,
		f.id, f.tenant, f.schedule, f.nominal, f.kind, f.outcome, f.code, f.detail, f.at, f.key)
	switch {
	case postgres.ForeignKeyViolation(err) != "": // deleted in between
		return notFound()
	case err == nil && n == 0:
		return errConcluded
	}
	return err
}

// adopt gives a firing that an earlier version has left waiting the key by which it is known now.
func (s store) adopt(ctx context.Context, f Firing) error {
	_, err := s.db.Exec(ctx, `update schedule_firings set firing_key = $2 where id = $1 and firing_key is null and outcome = 'waiting'`, f.nominalID(), f.key())
	return err
}

// endWaiting reports whether the firing waited.
func (s store) endWaiting(ctx context.Context, f Firing, code fault.Code, detail string) (bool, error) {
	n, err := s.db.Exec(ctx, `update schedule_firings set outcome = 'cancelled', code = $3, detail = $4
		where (firing_key = $1 or id = $2) and outcome = 'waiting'`, f.key(), f.nominalID(), code, detail)
	return n > 0, err
}

// firings gives those with a nominal time in the span, in order.
func (s store) firings(ctx context.Context, schedule uuid.UUID, from, to time.Time, limit int) ([]firing, error) {
	return postgres.All(ctx, s.db, firingSelect+` and f.schedule_id = $1 and f.nominal_at between $2 and $3 order by f.nominal_at, f.id limit $4`,
		[]any{schedule, from, to, limit}, scanFiring)
}

// before gives those that came before a time and had not ended by then, of the last few.
func (s store) before(ctx context.Context, schedule uuid.UUID, from time.Time, limit int) ([]firing, error) {
	return postgres.All(ctx, s.db, `select * from (`+firingSelect+` and f.schedule_id = $1 and f.nominal_at < $2 order by f.nominal_at desc limit $3) last
		where outcome in ('started', 'waiting') and (finished_at is null or finished_at > $2)`,
		[]any{schedule, from, limit}, scanFiring)
}
