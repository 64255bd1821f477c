package runs

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

// pending is an event on its way into a log.
type pending struct {
	runID uuid.UUID
	typ   event.Type
	at    clock.Time
	data  json.RawMessage
}

// event gives the event as it will stand in its log, but for its place there.
func (p pending) event() event.Event {
	return event.Event{RunID: p.runID, Type: p.typ, At: p.at, Data: p.data}
}

// Channel is where the database announces that logs grew: "<tenant>:<run>:<last seq>:<origin>"
// for each; the origin is the process that appended.
const Channel = "lari_run_events"

// appendStatement puts events of one tenant, of any number of runs, at the end of their logs. Heads are
// locked in the order of their ids, so that two appends never wait for each other in a circle. Events of a
// closed log are left out: nothing follows the final event. A final event closes its log. tx names the
// transaction for committed; it is left alone when nothing is written.
func (s store) appendStatement(tenant uuid.UUID, batch []pending, written *[]event.Event, tx *string) postgres.Statement {
	if slices.ContainsFunc(batch, func(p pending) bool { return p.runID != batch[0].runID }) {
		return s.appendManyStatement(tenant, batch, written, tx)
	}
	types, ats, datas := columnsOf(batch)
	return postgres.Statement{
		SQL: appendOneSQL, Args: []any{tenant, batch[0].runID, types, ats, datas, len(batch), slices.ContainsFunc(batch, pending.final), s.origin},
		Read: postgres.Rows(written, func(row pgx.CollectableRow) (event.Event, error) {
			e := event.Event{TenantID: tenant, RunID: batch[0].runID}
			err := row.Scan(&e.Seq, &e.Type, &e.At, &e.Data, tx, nil)
			return e, err
		}),
	}
}

func columnsOf(batch []pending) (types []string, ats []clock.Time, datas []string) {
	for _, p := range batch {
		types, ats, datas = append(types, string(p.typ)), append(ats, p.at), append(datas, string(p.data))
	}
	return types, ats, datas
}

func (p pending) final() bool { return p.typ.Final() }

// appendOneSQL is appendManySQL for events of a single run, which most appends are.
const appendOneSQL = `
		with head as (
			update run_logs set last_seq = last_seq + $6, closed = $7 where run_id = $2 and not closed
			returning last_seq - $6 as base, last_seq),
		added as (
			insert into run_events (tenant_id, run_id, seq, type, at, data)
			select $1, $2, h.base + i.ord, i.type, i.at, i.data::jsonb
			from head h, unnest($3::text[], $4::timestamptz[], $5::text[]) with ordinality as i (type, at, data, ord)
			returning seq, type, at, data)
		select a.seq, a.type, a.at, a.data, pg_current_xact_id()::text,
			pg_notify('` + Channel + `', $1::text || ':' || $2 || ':' || h.last_seq || ':' || $8) -- the same one each time: one
		from added a, head h order by a.seq`

func (s store) appendManyStatement(tenant uuid.UUID, batch []pending, written *[]event.Event, tx *string) postgres.Statement {
	types, ats, datas := columnsOf(batch)
	runIDs := make([]uuid.UUID, len(batch))
	for i, p := range batch {
		runIDs[i] = p.runID
	}
	return postgres.Statement{
		SQL: appendManySQL, Args: []any{tenant, runIDs, types, ats, datas, s.origin},
		Read: postgres.Rows(written, func(row pgx.CollectableRow) (event.Event, error) {
			e := event.Event{TenantID: tenant}
			err := row.Scan(&e.RunID, &e.Seq, &e.Type, &e.At, &e.Data, tx)
			return e, err
		}),
	}
}

const appendManySQL = `
		with input as materialized (
			select * from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::text[]) with ordinality as i (run_id, type, at, data, ord)),
		locked as materialized (
			select l.run_id from run_logs l where l.run_id = any($2::uuid[]) and not l.closed order by l.run_id for no key update),
		counts as (
			select run_id, count(*) as n, bool_or(type in ('run_completed', 'run_error', 'run_cancelled')) as closes
			from input join locked using (run_id) group by run_id),
		heads as (
			update run_logs l set last_seq = l.last_seq + c.n, closed = c.closes
			from counts c where l.run_id = c.run_id
			returning l.run_id, l.last_seq - c.n as base, l.last_seq),
		added as (
			insert into run_events (tenant_id, run_id, seq, type, at, data)
			select $1, i.run_id, h.base + row_number() over (partition by i.run_id order by i.ord), i.type, i.at, i.data::jsonb
			from input i join heads h using (run_id)
			returning run_id, seq, type, at, data),
		told as (select pg_notify('` + Channel + `', $1::text || ':' || run_id || ':' || last_seq || ':' || $6) from heads)
		select a.run_id, a.seq, a.type, a.at, a.data, pg_current_xact_id()::text
		from added a, (select count(*) from told) t order by a.run_id, a.seq`

// StopChannel is where the database announces that a run was asked to stop: its id. Whoever executes it
// hears of the stop from the engine, which is asked at once instead of some time later.
const StopChannel = "lari_run_stops"

func (s store) tellStop(ctx context.Context, run uuid.UUID) error {
	return s.db.Finally(ctx, postgres.Statement{SQL: `select pg_notify('` + StopChannel + `', $1)`, Args: []any{run.String()}})
}

// committed reports how a transaction ended whose commit was not answered. While the server still holds
// it open the answer is fault.Unavailable: ask again.
func (s store) committed(ctx context.Context, tx string) (bool, error) {
	status, _, err := postgres.One(ctx, s.db, `select coalesce(pg_xact_status($1::text::xid8), 'aborted')`, []any{tx}, pgx.RowTo[string])
	if err == nil && status == "in progress" {
		err = fault.New(fault.Unavailable, "The transaction has not ended yet.")
	}
	return status == "committed", err
}

func scanEvent(tenant uuid.UUID) pgx.RowToFunc[event.Event] {
	return func(row pgx.CollectableRow) (event.Event, error) {
		e := event.Event{TenantID: tenant}
		err := row.Scan(&e.RunID, &e.Seq, &e.Type, &e.At, &e.Data)
		return e, err
	}
}

// events gives at most limit events of a log after the position, in order.
func (s store) events(ctx context.Context, tenant, run uuid.UUID, after int64, limit int) ([]event.Event, error) {
	return postgres.All(ctx, s.db, `select run_id, seq, type, at, data from run_events
		where run_id = $1 and seq > $2 order by seq limit $3`, []any{run, after, limit}, scanEvent(tenant))
}

// head is the end of a log.
type head struct {
	seq    int64
	closed bool
}

// head gives the end of a log; ok is false when the tenant has no such run.
func (s store) head(ctx context.Context, run uuid.UUID) (h head, ok bool, err error) {
	return postgres.One(ctx, s.db, `select last_seq, closed from run_logs where run_id = $1`, []any{run},
		func(row pgx.CollectableRow) (head, error) {
			var h head
			err := row.Scan(&h.seq, &h.closed)
			return h, err
		})
}

// lifecycleEvents gives run_started and, once it is there, the final event.
func (s store) lifecycleEvents(ctx context.Context, tenant, run uuid.UUID) ([]event.Event, error) {
	return postgres.All(ctx, s.db, `select run_id, seq, type, at, data from run_events
		where run_id = $1 and type in ('run_started', 'run_completed', 'run_error', 'run_cancelled') order by seq`,
		[]any{run}, scanEvent(tenant))
}

// traces tells what earlier attempts at a step left in the log: where it begins (zero: nowhere), whether there
// are deltas of its message that no restart has taken back, and the highest number of an attempt.
func (s store) traces(ctx context.Context, run uuid.UUID, step int) (begun int64, half bool, attempt int, err error) {
	err = s.db.Query(ctx, `
		with of_step as (
			select seq, type, data from run_events where run_id = $1 and (data ->> 'step')::int = $2)
		select coalesce((select min(seq) from of_step where type = 'run_progress' and data ->> 'phase' = 'step' and data ->> 'detail' = 'begin'), 0),
			exists (select from of_step where type in ('message_delta', 'reasoning_delta')
				and seq > coalesce((select max(seq) from of_step where type = 'attempt_restarted'), 0)),
			(select coalesce(max((data ->> 'attempt')::int), 0) from of_step where type in ('message_delta', 'reasoning_delta', 'attempt_restarted'))`,
		[]any{run, step}, func(rows pgx.Rows) error {
			if rows.Next() {
				return rows.Scan(&begun, &half, &attempt)
			}
			return rows.Err()
		})
	return begun, half, attempt, err
}

// warned reports whether a log says that the soft limit of the quota was passed.
func (s store) warned(ctx context.Context, run uuid.UUID, quota string) (bool, error) {
	said, _, err := postgres.One(ctx, s.db, `select exists (select from run_events
		where run_id = $1 and type = 'run_progress' and data ->> 'phase' = 'quota' and data ->> 'name' = $2)`, []any{run, quota}, pgx.RowTo[bool])
	return said, err
}
