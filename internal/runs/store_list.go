package runs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/postgres"
)

// list gives at most limit runs before the id, newest first.
func (s store) list(ctx context.Context, f Filter, before uuid.UUID, limit int) ([]Run, error) {
	where, args := f.where()
	args = append(args, before, limit)
	sql := fmt.Sprintf(`select %s from agent_runs where %s and id < $%d order by id desc limit $%d`, shownColumns, where, len(args)-1, len(args))
	return postgres.All(ctx, s.db, sql, args, scanShown)
}

// where gives the filter as a condition and its arguments.
func (f Filter) where() (string, []any) {
	// The policy filters by tenant as well; naming it here lets the planner walk the list's index.
	where := []string{"tenant_id = (select lari.tenant_id())"}
	var args []any
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if len(f.Status) > 0 {
		where = append(where, statusIn(f.Status))
	}
	if f.AgentID != nil {
		add("agent_id = $%d", *f.AgentID)
	}
	if f.ThreadID != nil {
		add("thread_id = $%d", *f.ThreadID)
	}
	if f.ScheduleID != nil {
		add("schedule_id = $%d", *f.ScheduleID)
	}
	if f.WorkspaceID != nil {
		add("workspace_id = $%d", *f.WorkspaceID)
	}
	// Ids are made in the order of time: bounds of the time are bounds of the index too, with some room.
	if f.CreatedAfter != nil {
		add("created_at >= $%d", *f.CreatedAfter)
		add("id >= $%d", idAt(f.CreatedAfter.Add(-idSlack)))
	}
	if f.CreatedBefore != nil {
		add("created_at < $%d", *f.CreatedBefore)
		add("id < $%d", idAt(f.CreatedBefore.Add(time.Hour)))
	}
	return strings.Join(where, " and "), args
}

// statusIn names the states in the statement itself: most runs are completed and few are anything else, and one
// plan for whatever state would be a bad one for the few.
func statusIn(wanted []Status) string {
	names := []string{"null"} // fits nothing, as a state fits that is none
	for _, status := range Statuses() {
		if slices.Contains(wanted, status) {
			names = append(names, "'"+string(status)+"'")
		}
	}
	if len(names) == 2 { // in the order of an index
		return "status = " + names[1]
	}
	return "status in (" + strings.Join(names, ", ") + ")"
}

// askCancelAll notes for a page of the runs that fit the filter that they are to stop, tells whoever executes
// them, and gives their ids.
func (s store) askCancelAll(ctx context.Context, f Filter, by, reason string, at clock.Time, limit int) ([]uuid.UUID, error) {
	where, args := f.where()
	args = append(args, at, by, reason, limit)
	n := len(args)
	sql := fmt.Sprintf(`
		with asked as (
			update agent_runs set cancel_requested_at = $%d, cancel_requested_by = $%d, cancel_reason = $%d
			where id in (select id from agent_runs where %s and status in ('queued', 'running', 'waiting') and cancel_requested_at is null
				order by id limit $%d for no key update)
			returning id, status)
		select id, case when status <> 'queued' then pg_notify('`+StopChannel+`', id::text) end from asked`, n-3, n-2, n-1, where, n)
	return postgres.All(ctx, s.db, sql, args, func(row pgx.CollectableRow) (id uuid.UUID, err error) {
		err = row.Scan(&id, nil)
		return id, err
	})
}

// undispatched returns queued runs that were accepted, or let go, longer than age ago and were perhaps never handed to the
// engine, the oldest after a place first; across tenants. Marked ones are not returned again.
func (s store) undispatched(ctx context.Context, age time.Duration, after Place, limit int) ([]Run, error) {
	return postgres.All(ctx, s.db, `select `+runColumns+` from agent_runs
		where status = 'queued' and dispatched_at is null and held_by is null and created_at < now() - $1::interval and coalesce(held_at, created_at) < now() - $1::interval
			and (created_at, id) > ($2::timestamptz, $3::uuid)
		order by created_at, id limit $4 for update skip locked`, []any{age, after.At, after.ID, limit}, scanRun)
}

func (s store) markDispatched(ctx context.Context, id uuid.UUID) error {
	_, err := s.db.Exec(ctx, `update agent_runs set dispatched_at = now() where id = $1`, id)
	return err
}

// cancelling returns runs in the queue, or active ones, whose cancel was asked for longer than age ago, the first that were
// asked after a place first; across tenants.
func (s store) cancelling(ctx context.Context, queued bool, age time.Duration, after Place, limit int) ([]suspect, error) {
	return postgres.All(ctx, s.db, `select `+suspectColumns+`, cancel_requested_at from agent_runs
		where cancel_requested_at < now() - $1::interval and status in ('queued', 'running', 'waiting') and (status = 'queued') = $2
			and (cancel_requested_at, id) > ($3::timestamptz, $4::uuid)
		order by cancel_requested_at, id limit $5`, []any{age, queued, after.At, after.ID, limit}, scanSuspectAt)
}
