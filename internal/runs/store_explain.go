package runs

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/postgres"
)

// known is what the database knows of why a run stands where it does.
type known struct {
	run       Run
	asked     []question
	calls     []ToolCall  // of tools that are at work, without arguments and results
	lastEvent *clock.Time // nil: the log is empty
	waitsFor  string      // what a waiting run said last that it waits for
	active    *uuid.UUID  // the run that is active on the thread of a held one
	head      *uuid.UUID  // the first that waits for the thread
	before    int64       // how many wait before this one
	quotas    []usedQuota
}

// question is an approval that is due.
type question struct {
	id, call    uuid.UUID
	tool        string
	step        int
	requestedAt clock.Time
	expiresAt   clock.Time
}

// usedQuota is a quota of the tenant that can hold runs.
type usedQuota struct {
	name        string
	limit, used decimal.Decimal
	freesAt     *clock.Time
}

// known reads it all in one round trip.
func (s store) known(ctx context.Context, id uuid.UUID) (k known, err error) {
	var found bool
	line := thread{}
	err = s.db.Batch(ctx,
		findStatement(id, &k.run, &found),
		postgres.Statement{
			SQL: `select a.id, a.tool_call_id, c.name, c.step, a.requested_at, a.expires_at
				from approvals a join tool_calls c on c.id = a.tool_call_id
				where a.run_id = $1 and a.status = 'pending' order by a.requested_at, a.id`,
			Args: []any{id}, Read: postgres.Rows(&k.asked, scanQuestion),
		},
		postgres.Statement{
			SQL:  `select id, step, name, started_at from tool_calls where run_id = $1 and status = 'running' order by step, position`,
			Args: []any{id}, Read: postgres.Rows(&k.calls, scanRunning),
		},
		postgres.Statement{
			SQL:  `select at from run_events where run_id = $1 order by seq desc limit 1`,
			Args: []any{id}, Read: postgres.Row(&k.lastEvent, nil, pgx.RowTo[*clock.Time]),
		},
		postgres.Statement{
			SQL: `select coalesce(e.data ->> 'name', '') from run_events e
				where e.run_id = $1 and e.type = 'run_progress' and e.data ->> 'phase' = 'wait'
					and exists (select from agent_runs where id = $1 and status = 'waiting')
				order by e.seq desc limit 1`,
			Args: []any{id}, Read: postgres.Row(&k.waitsFor, nil, pgx.RowTo[string]),
		},
		lineStatement(id, &line),
		quotasStatement(id, &k.quotas))
	k.active, k.head, k.before = line.active, line.head, line.before
	return k, existing(id, found, err)
}

func scanQuestion(row pgx.CollectableRow) (question, error) {
	var q question
	err := row.Scan(&q.id, &q.call, &q.tool, &q.step, &q.requestedAt, &q.expiresAt)
	return q, err
}

func scanRunning(row pgx.CollectableRow) (ToolCall, error) {
	c := ToolCall{Status: ToolRunning}
	err := row.Scan(&c.ID, &c.Step, &c.Name, &c.StartedAt)
	return c, err
}

// thread is who stands before a run that is held on a thread.
type thread struct {
	active, head *uuid.UUID
	before       int64
}

func lineStatement(id uuid.UUID, line *thread) postgres.Statement {
	return postgres.Statement{
		SQL: `select
				(select b.id from agent_runs b where b.tenant_id = r.tenant_id and b.thread_id = r.thread_id
					and b.status in ('queued', 'running', 'waiting') and b.held_by is null limit 1),
				(select b.id from agent_runs b where b.tenant_id = r.tenant_id and b.thread_id = r.thread_id
					and b.status = 'queued' and b.held_by is not null and b.held_by <> 'delay' and b.id < r.id order by b.id limit 1),
				(select count(*) from agent_runs b where b.tenant_id = r.tenant_id and b.thread_id = r.thread_id
					and b.status = 'queued' and b.held_by is not null and b.held_by <> 'delay' and b.id < r.id)
			from agent_runs r where r.id = $1 and r.status = 'queued' and r.held_by = 'thread'`,
		Args: []any{id}, Read: postgres.Row(line, nil, func(row pgx.CollectableRow) (thread, error) {
			var t thread
			err := row.Scan(&t.active, &t.head, &t.before)
			return t, err
		}),
	}
}

// quotasStatement reads the quotas that can hold a run, as lari.admit_run weighs them.
func quotasStatement(id uuid.UUID, quotas *[]usedQuota) postgres.Statement {
	return postgres.Statement{
		SQL: `
			with r as (select tenant_id from agent_runs where id = $1 and status in ('queued', 'waiting') and (held_by = 'quota' or status = 'waiting')),
			q as (select (lari.quotas_of(r.tenant_id)).* from r),
			month as (select date_trunc('month', now() at time zone 'UTC')::date as starts),
			m as (
				select u.* from quota_usage u, q, month where u.tenant_id = q.tenant_id and u.period = 'month' and u.starts_on = month.starts),
			frees as (select ((starts + interval '1 month') at time zone 'UTC') as month_end from month)
			select 'concurrent_runs', q.concurrent_runs::text, (
					select count(*) from agent_runs a where a.tenant_id = q.tenant_id and a.status in ('queued', 'running', 'waiting') and a.held_by is null)::text,
				null::timestamptz
				from q where q.concurrent_runs is not null
			union all
			select 'tokens_per_month', q.tokens_per_month::text, coalesce(m.tokens + m.reserved_tokens, 0)::text, frees.month_end
				from q left join m on true, frees where q.tokens_per_month is not null
			union all
			select 'cost_usd_per_month', q.cost_usd_per_month::text, coalesce(m.cost_usd + m.reserved_cost_usd, 0)::text, frees.month_end
				from q left join m on true, frees where q.cost_usd_per_month is not null`,
		Args: []any{id}, Read: postgres.Rows(quotas, func(row pgx.CollectableRow) (u usedQuota, err error) {
			var limit, used string
			if err := row.Scan(&u.name, &limit, &used, &u.freesAt); err != nil {
				return u, err
			}
			if u.limit, err = decimal.NewFromString(limit); err != nil {
				return u, err
			}
			u.used, err = decimal.NewFromString(used)
			return u, err
		}),
	}
}
