package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/storable"
)

// accepted is what became of a run that was to be inserted.
type accepted struct {
	verdict verdict
	created bool // false: a run of that id exists
	busy    bool // another run is on its thread
}

const threadBusy = "Another run is active on this thread; wait for it, cancel it, or say what to do with on_busy."

// busySQL asks whether a run other than $1 is on a thread, or waits for its turn there.
const busySQL = `exists (select from agent_runs b where b.tenant_id = $2 and b.thread_id = $6 and b.status in ('queued', 'running', 'waiting')
			and b.held_by is distinct from 'delay' and b.id <> $1)`

const insertSQL = `
		with known as (select from agent_runs where id = $1),
		thread as materialized (select ` + busySQL + ` as busy),
		wanted as (
			select case when $20::timestamptz > now() then 'delay' when busy or $24 then 'thread' end as hold, busy from thread
			where not exists (select from known)),
		admitted as materialized (
			select lari.admit_run($2, hold, false) as verdict from wanted where hold = 'delay' or not busy or $21 <> 'reject'),
		run as (
			insert into agent_runs (id, tenant_id, workspace_id, agent_id, agent_version, thread_id, schedule_id, status, input,
				metadata, max_tokens, max_cost_usd, max_steps, timeout_seconds, approval_seconds, webhook_url, request_id, created_by, created_at,
				due_at, on_busy, retry_of, forked_from, forked_step, step, held_by, held_at, traceparent)
			select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::text::numeric, $13, $14, $15, nullif($16, ''), $17, $18, $19,
				$20, $21, $22, $23, nullif($25, 0), greatest($25 - 1, 0), verdict ->> 'hold', case when verdict ->> 'hold' is not null then $19::timestamptz end,
				nullif($26, '')
			from admitted where verdict -> 'refused' is null
			on conflict (id) do nothing
			returning id, tenant_id),
		log as (insert into run_logs (run_id, tenant_id) select id, tenant_id from run)
		select (select verdict from admitted), exists (select from run), (select busy from thread)`

// insert writes a queued run and the head of its log, if it may begin or be held, in one statement.
// waits holds it for its thread even if that looks free.
func (s store) insert(ctx context.Context, r Run, waits bool) (a accepted, err error) {
	input, err := storable.Marshal(r.Input)
	if err != nil {
		return accepted{}, fmt.Errorf("encode the input: %w", err)
	}
	a, _, err = postgres.One(ctx, s.db, insertSQL, []any{
		r.ID, r.TenantID, r.WorkspaceID, r.AgentID, r.AgentVersion, r.ThreadID, r.ScheduleID, r.Status, input,
		[]byte(r.Metadata), r.Limits.MaxTokens, decimalText(r.Limits.MaxCostUSD), r.Limits.MaxSteps, int(r.Limits.Timeout / time.Second), int(r.Limits.ApprovalTTL / time.Second),
		r.WebhookURL, r.RequestID, r.CreatedBy, r.CreatedAt, r.DueAt, r.OnBusy, r.RetryOf, r.ForkedFrom, waits, r.ForkedStep, r.TraceParent,
	}, func(row pgx.CollectableRow) (accepted, error) {
		var a accepted
		var said []byte
		if err := row.Scan(&said, &a.created, &a.busy); err != nil || said == nil {
			return a, err
		}
		return a, json.Unmarshal(said, &a.verdict)
	})
	switch {
	case postgres.UniqueViolation(err) == "agent_runs_thread_busy":
		return accepted{}, fault.Wrap(err, fault.ThreadBusy, threadBusy)
	case strings.Contains(postgres.ForeignKeyViolation(err), "workspace"):
		return accepted{}, fault.InvalidField("workspace_id", "exists", "names no workspace of this tenant")
	case strings.Contains(postgres.ForeignKeyViolation(err), "thread"):
		return accepted{}, fault.InvalidField("thread_id", "exists", "names no thread of this tenant")
	}
	return a, err
}

// unadmit takes back what the acceptance of a run counted.
func (s store) unadmit(ctx context.Context, r Run) error {
	_, err := s.db.Exec(ctx, `select lari.unadmit_run($1, $2)`, r.TenantID, r.CreatedAt)
	return err
}

// takeHeld decides whether a held run may begin now, and holds its row until the transaction ends. ok is false
// when there is no such run, it is held no longer, or somebody else looks at it.
func (s store) takeHeld(ctx context.Context, tenant, id uuid.UUID) (r Run, a accepted, ok bool, err error) {
	// First who counts, then the row: in this order a run that supersedes others takes them too.
	err = s.db.Batch(ctx, postgres.Statement{
		SQL: `select lari.admit_run($1, null, true)`, Args: []any{tenant},
		Read: postgres.Row(&a.verdict, nil, func(row pgx.CollectableRow) (v verdict, err error) {
			var said []byte
			if err := row.Scan(&said); err != nil {
				return v, err
			}
			return v, json.Unmarshal(said, &v)
		}),
	}, postgres.Statement{
		SQL: `select ` + runColumns + ` from agent_runs where id = $1 and status = 'queued' and held_by is not null
			and cancel_requested_at is null for no key update skip locked`,
		Args: []any{id}, Read: postgres.Row(&r, &ok, scanRun),
	})
	if err != nil || !ok || r.ThreadID == nil {
		return r, a, ok, err
	}
	a.busy, _, err = postgres.One(ctx, s.db, `
		select exists (select from agent_runs where tenant_id = $1 and thread_id = $2 and status in ('queued', 'running', 'waiting')
			and (held_by is null or held_by <> 'delay' and id < $3))`, []any{tenant, r.ThreadID, id}, pgx.RowTo[bool])
	return r, a, ok, err
}

// hold says why a run is held; "" lets it go, at that time.
func (s store) hold(ctx context.Context, id uuid.UUID, by Hold, at clock.Time) error {
	_, err := s.db.Exec(ctx, `update agent_runs set held_by = nullif($2, ''), held_at = $3 where id = $1`, id, by, at)
	if postgres.UniqueViolation(err) == "agent_runs_thread_busy" {
		return fault.Wrap(err, fault.ThreadBusy, threadBusy)
	}
	return err
}

// heldRun names a held run.
type heldRun struct {
	tenant, id uuid.UUID
	by         Hold
}

func scanHeld(row pgx.CollectableRow) (heldRun, error) {
	var h heldRun
	err := row.Scan(&h.tenant, &h.id, &h.by)
	return h, err
}

// heldDue returns runs whose time has come, in turns of their tenants; across tenants.
func (s store) heldDue(ctx context.Context, without []uuid.UUID, limit int) ([]heldRun, error) {
	return postgres.All(ctx, s.db, `
		select tenant_id, id, held_by from (
			select tenant_id, id, held_by, row_number() over (partition by tenant_id order by due_at, id) as turn from agent_runs
			where status = 'queued' and held_by = 'delay' and due_at <= now() and cancel_requested_at is null and id <> all ($1)) due
		order by turn, id limit $2`, []any{without, limit}, scanHeld)
}

// nextDue gives how long it is until the next held run's time comes, if that is within the span.
func (s store) nextDue(ctx context.Context, within time.Duration) (in time.Duration, ok bool, err error) {
	return postgres.One(ctx, s.db, `select due_at - now() from agent_runs
		where status = 'queued' and held_by = 'delay' and due_at > now() and due_at < now() + $1::interval order by due_at limit 1`,
		[]any{within}, pgx.RowTo[time.Duration])
}

// heldHeads returns the first waiting run of each thread that is free, in turns of their tenants; across tenants. Those that
// wait for a slot or the end of a pause are not among them: they are looked at by tenant (heldOf), for they need not leave.
func (s store) heldHeads(ctx context.Context, without []uuid.UUID, limit int) ([]heldRun, error) {
	return postgres.All(ctx, s.db, `
		select tenant_id, id, held_by from (
			select tenant_id, id, held_by, row_number() over (partition by tenant_id order by id) as turn from (
				select distinct on (tenant_id, thread_id) tenant_id, thread_id, id, held_by, cancel_requested_at from agent_runs
				where status = 'queued' and held_by = 'thread' and thread_id is not null order by tenant_id, thread_id, id) waiting
			where cancel_requested_at is null and id <> all ($1)
				and not exists (select from agent_runs b where b.tenant_id = waiting.tenant_id and b.thread_id = waiting.thread_id
					and b.status in ('queued', 'running', 'waiting') and b.held_by is null)
				and not exists (select from agent_runs b where b.tenant_id = waiting.tenant_id and b.thread_id = waiting.thread_id
					and b.status = 'queued' and b.held_by <> 'delay' and b.id < waiting.id)) heads
		order by turn, id limit $2`, []any{without, limit}, scanHeld)
}

// heldTenants gives tenants with runs that are held for want of a slot or by a pause.
func (s store) heldTenants(ctx context.Context) ([]uuid.UUID, error) {
	return postgres.All(ctx, s.db, `select distinct tenant_id from agent_runs
		where status = 'queued' and held_by in ('pause', 'quota')`, nil, pgx.RowTo[uuid.UUID])
}

// heldOf gives a tenant's runs that are held for want of a slot or by a pause, oldest first.
func (s store) heldOf(ctx context.Context, tenant uuid.UUID, after uuid.UUID, limit int) ([]heldRun, error) {
	return postgres.All(ctx, s.db, `select tenant_id, id, held_by from agent_runs
		where tenant_id = $1 and status = 'queued' and held_by in ('pause', 'quota') and id > $2 order by id limit $3`, []any{tenant, after, limit}, scanHeld)
}

// heldOn gives the first held run of a thread.
func (s store) heldOn(ctx context.Context, thread uuid.UUID) (heldRun, bool, error) {
	return postgres.One(ctx, s.db, `select tenant_id, id, held_by from agent_runs
		where tenant_id = (select lari.tenant_id()) and thread_id = $1 and status = 'queued' and held_by is not null and held_by <> 'delay'
		order by id limit 1`, []any{thread}, scanHeld)
}

// supersede asks every other run on the thread to stop, and returns them in the order in which they came.
func (s store) supersede(ctx context.Context, r Run, reason string, rollback bool, at clock.Time) ([]superseded, error) {
	return postgres.All(ctx, s.db, `
		with stopped as (
			update agent_runs set cancel_requested_at = coalesce(cancel_requested_at, $4), cancel_requested_by = coalesce(cancel_requested_by, $5),
				cancel_reason = coalesce(cancel_reason, $6), rolled_back = rolled_back or $7,
				superseded_by = case when cancel_requested_at is null then $3 else superseded_by end
			where tenant_id = $1 and thread_id = $2 and id <> $3 and status in ('queued', 'running', 'waiting') and held_by is distinct from 'delay'
			returning id, superseded_by, held_by, input)
		select id, coalesce(superseded_by = $3, false), case when held_by is not null and superseded_by = $3 then input end from stopped order by id`,
		[]any{r.TenantID, r.ThreadID, r.ID, at, r.CreatedBy, reason, rollback}, func(row pgx.CollectableRow) (superseded, error) {
			var one superseded
			var input []byte
			if err := row.Scan(&one.id, &one.first, &input); err != nil || input == nil {
				return one, err
			}
			return one, json.Unmarshal(input, &one.input)
		})
}

// liveMessages returns what was said to a run after its input, as messages of a thread; nothing of a run whose messages
// another run brought to the thread when it took its place.
func (s store) liveMessages(ctx context.Context, run, by uuid.UUID) ([]InputMessage, error) {
	return postgres.All(ctx, s.db, `select m.content from run_messages m join agent_runs r on r.id = m.run_id
		where m.run_id = $1 and coalesce(r.superseded_by, $2) = $2 order by m.id`, []any{run, by},
		func(row pgx.CollectableRow) (InputMessage, error) {
			m := InputMessage{Role: "user"}
			err := row.Scan(&m.Content)
			return m, err
		})
}
