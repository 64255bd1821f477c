package deliveries

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

type store struct {
	db *postgres.DB
}

// outgoing is a delivery that is to be written.
type outgoing struct {
	Posting
	connector string
	endpoint  *uuid.UUID
}

func listenersStatement(tenant uuid.UUID, found *[]Listener) postgres.Statement {
	return postgres.Statement{
		SQL:  `select id, events, agent_id from webhook_endpoints where tenant_id = $1 and status = 'enabled'`,
		Args: []any{tenant},
		Read: postgres.Rows(found, func(row pgx.CollectableRow) (Listener, error) {
			var l Listener
			err := row.Scan(&l.ID, &l.Events, &l.AgentID)
			return l, err
		}),
	}
}

// postStatement reads the end of the run's log, which the transaction around it has just written and
// holds. What the log did not take is posted to nobody; an endpoint that was removed meanwhile is left out.
func postStatement(tenant, run uuid.UUID, rows []outgoing, keys *[]Key) postgres.Statement {
	n := len(rows)
	behinds := make([]int64, n)
	types, names, endpoints := make([]string, n), make([]string, n), make([]*uuid.UUID, n)
	for i, r := range rows {
		behinds[i], types[i], names[i], endpoints[i] = int64(r.Behind), string(r.Type), r.connector, r.endpoint
	}
	return postgres.Statement{
		SQL: `
			insert into deliveries (tenant_id, run_id, seq, type, connector, endpoint_id)
			select $1, $2, v.seq, v.type, p.connector, p.endpoint
			from run_logs l
			cross join unnest($3::bigint[], $4::text[], $5::text[], $6::uuid[]) as p (behind, type, connector, endpoint)
			join run_events v on v.run_id = $2 and v.seq = l.last_seq - p.behind and v.type = p.type
			where l.run_id = $2 and (p.endpoint is null or (select true from webhook_endpoints e where e.id = p.endpoint for key share))
			on conflict do nothing
			returning seq, connector, endpoint_id, ` + doubtful,
		Args: []any{tenant, run, behinds, types, names, endpoints},
		Read: postgres.Rows(keys, func(row pgx.CollectableRow) (Key, error) {
			k := Key{TenantID: tenant, RunID: run, Round: 1}
			err := row.Scan(&k.Seq, &k.Connector, &k.EndpointID, &k.doubtful)
			return k, err
		}),
	}
}

// doubtful tells whether a delivery's endpoint failed the last time.
const doubtful = `exists (select from webhook_endpoints e where e.id = deliveries.endpoint_id and e.failing_since is not null)`

// ofKey finds the row of a key whose parts are $1 to $4.
const ofKey = `run_id = $1 and seq = $2 and connector = $3 and endpoint_id is not distinct from $4`

func (k Key) args(more ...any) []any {
	return append([]any{k.RunID, k.Seq, k.Connector, k.EndpointID}, more...)
}

const columns = `id, tenant_id, round, endpoint_id, run_id, seq, type, connector, status, attempts, error, created_at, finished_at`

func scan(row pgx.CollectableRow) (Delivery, error) {
	var d Delivery
	err := row.Scan(&d.ID, &d.tenant, &d.round, &d.EndpointID, &d.RunID, &d.Seq, &d.Type, &d.Connector, &d.Status, &d.Attempts, &d.Error, &d.CreatedAt, &d.FinishedAt)
	return d, err
}

func (s store) begin(ctx context.Context, k Key, typ string) (d Delivery, err error) {
	var found bool
	err = s.db.Batch(ctx,
		postgres.Statement{
			SQL: `insert into deliveries (run_id, seq, connector, endpoint_id, tenant_id, type, handed_at)
				values ($1, $2, $3, $4, $5, $6, now()) on conflict do nothing`,
			Args: k.args(k.TenantID, typ),
		},
		postgres.Statement{SQL: `select ` + columns + ` from deliveries where ` + ofKey, Args: k.args(), Read: postgres.Row(&d, &found, scan)})
	return d, existing(found, err)
}

func existing(found bool, err error) error {
	if err == nil && !found {
		err = fault.New(fault.NotFound, "There is no such delivery.")
	}
	return err
}

func (s store) record(ctx context.Context, k Key, a Attempt, led Status) error {
	_, err := s.db.Exec(ctx, `
		with changed as (
			update deliveries set attempts = attempts + 1, error = $5, status = $6,
				finished_at = case when $6 = 'pending' then null else $7::timestamptz + $8 * interval '1 millisecond' end
			where `+ofKey+` and round = $11 and status = 'pending' returning tenant_id, id, attempts)
		insert into delivery_attempts (tenant_id, delivery_id, n, at, duration_ms, status_code, error, response)
		select tenant_id, id, attempts, $7, $8, $9, $5, $10 from changed`,
		k.args(a.Error, string(led), a.At, a.DurationMS, a.StatusCode, a.Response, k.Round)...)
	return err
}

func (s store) giveUp(ctx context.Context, k Key) error {
	_, err := s.db.Exec(ctx, `update deliveries set status = 'failed', finished_at = now() where `+ofKey+` and round = $5 and status = 'pending'`, k.args(k.Round)...)
	return err
}

func (s store) find(ctx context.Context, endpoint, id uuid.UUID) (d Delivery, attempts []Attempt, err error) {
	var found bool
	err = s.db.Batch(ctx,
		postgres.Statement{
			SQL: `select ` + columns + ` from deliveries where id = $1 and endpoint_id = $2`, Args: []any{id, endpoint},
			Read: postgres.Row(&d, &found, scan),
		},
		postgres.Statement{
			SQL: `select n, at, duration_ms, status_code, error, response from delivery_attempts where delivery_id = $1 order by n desc limit 200`, Args: []any{id},
			Read: postgres.Rows(&attempts, func(row pgx.CollectableRow) (Attempt, error) {
				var a Attempt
				err := row.Scan(&a.N, &a.At, &a.DurationMS, &a.StatusCode, &a.Error, &a.Response)
				return a, err
			}),
		})
	return d, attempts, existing(found, err)
}

func (s store) list(ctx context.Context, f Filter, before uuid.UUID, limit int) ([]Delivery, error) {
	statuses := make([]string, len(f.Status))
	for i, st := range f.Status {
		statuses[i] = string(st)
	}
	return postgres.All(ctx, s.db, `select `+columns+` from deliveries
		where tenant_id = (select lari.tenant_id()) and endpoint_id = $1 and id < $2
			and (cardinality($3::text[]) = 0 or status = any($3)) and ($4::uuid is null or run_id = $4)
		order by id desc limit $5`, []any{f.EndpointID, before, statuses, f.RunID, limit}, scan)
}

// reopen makes a finished delivery pending again; reopened is false when it is pending already.
func (s store) reopen(ctx context.Context, endpoint, id uuid.UUID) (d Delivery, reopened bool, err error) {
	var found bool
	err = s.db.Batch(ctx,
		postgres.Statement{
			SQL: `update deliveries set status = 'pending', finished_at = null, handed_at = null, round = round + 1
				where id = $1 and endpoint_id = $2 and status <> 'pending' returning true`,
			Args: []any{id, endpoint}, Read: postgres.Row(&reopened, nil, pgx.RowTo[bool]),
		},
		postgres.Statement{
			SQL: `select ` + columns + ` from deliveries where id = $1 and endpoint_id = $2`, Args: []any{id, endpoint},
			Read: postgres.Row(&d, &found, scan),
		})
	return d, reopened, existing(found, err)
}

// place is where a search stands among the deliveries that the engine does not have; zero: at the oldest.
type place struct {
	at time.Time
	id uuid.UUID
}

// unhanded returns pending deliveries of every tenant that the engine does not have yet, those to endpoints that failed the
// last time or the others, the oldest after a place first, and the place of the next page: zero after the last.
func (s store) unhanded(ctx context.Context, older time.Duration, failing bool, after place, limit int) ([]Key, place, error) {
	var next place
	keys, err := postgres.All(ctx, s.db, `select tenant_id, run_id, seq, connector, endpoint_id, round, created_at, id from deliveries
		where handed_at is null and status = 'pending' and created_at < now() - $1::interval and (created_at, id) > ($2, $3) and `+doubtful+` = $4
		order by created_at, id limit $5`,
		[]any{older, after.at, after.id, failing, limit}, func(row pgx.CollectableRow) (Key, error) {
			k := Key{doubtful: failing}
			err := row.Scan(&k.TenantID, &k.RunID, &k.Seq, &k.Connector, &k.EndpointID, &k.Round, &next.at, &next.id)
			return k, err
		})
	if len(keys) < limit {
		next = place{}
	}
	return keys, next, err
}

// markHanded notes that the engine has the deliveries. A later round that has begun meanwhile is another delivery to it.
func (s store) markHanded(ctx context.Context, keys []Key) error {
	if len(keys) == 0 {
		return nil
	}
	n := len(keys)
	runs, seqs, names, endpoints, rounds := make([]uuid.UUID, n), make([]int64, n), make([]string, n), make([]*uuid.UUID, n), make([]int, n)
	for i, k := range keys {
		runs[i], seqs[i], names[i], endpoints[i], rounds[i] = k.RunID, k.Seq, k.Connector, k.EndpointID, k.Round
	}
	_, err := s.db.Exec(ctx, `
		update deliveries d set handed_at = now()
		from unnest($1::uuid[], $2::bigint[], $3::text[], $4::uuid[], $5::int[]) as k (run_id, seq, connector, endpoint_id, round)
		where d.round = k.round and d.run_id = k.run_id and d.seq = k.seq and d.connector = k.connector and d.endpoint_id is not distinct from k.endpoint_id`,
		runs, seqs, names, endpoints, rounds)
	return err
}

// purge removes finished deliveries of every tenant, with their attempts, that are older than age.
func (s store) purge(ctx context.Context, age time.Duration, limit int) (int64, error) {
	return s.db.Exec(ctx, `delete from deliveries where id in (
		select id from deliveries where created_at < now() - $1::interval and status <> 'pending' limit $2)`, age, limit)
}
