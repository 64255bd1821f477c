package runs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/postgres"
)

// list gives at most limit runs before the id, newest first.
func (s store) list(ctx context.Context, f Filter, before uuid.UUID, limit int) ([]Run, error) {
	var where []string
	var args []any
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	// The policy filters by tenant as well; naming it here lets the planner walk the list's index.
	where = append(where, "tenant_id = (select lari.tenant_id())")
	if len(f.Status) > 0 {
		add("status = any($%d)", f.Status)
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
	if f.CreatedAfter != nil {
		add("created_at >= $%d", *f.CreatedAfter)
	}
	if f.CreatedBefore != nil {
		add("created_at < $%d", *f.CreatedBefore)
	}
	add("id < $%d", before)
	args = append(args, limit)
	sql := fmt.Sprintf(`select %s from agent_runs where %s order by id desc limit $%d`, runColumns, strings.Join(where, " and "), len(args))
	return postgres.All(ctx, s.db, sql, args, scanRun)
}

// undispatched gives queued runs that are older than age and were perhaps never handed to the engine;
// across tenants. Marked ones are not given again.
func (s store) undispatched(ctx context.Context, age time.Duration, limit int) ([]Run, error) {
	return postgres.All(ctx, s.db, `select `+runColumns+` from agent_runs
		where status = 'queued' and dispatched_at is null and created_at < now() - $1::interval
		order by created_at limit $2 for update skip locked`, []any{age, limit}, scanRun)
}

func (s store) markDispatched(ctx context.Context, id uuid.UUID) error {
	_, err := s.db.Exec(ctx, `update agent_runs set dispatched_at = now() where id = $1`, id)
	return err
}

// cancelling gives active runs whose cancel was asked for longer than age ago; across tenants.
func (s store) cancelling(ctx context.Context, age time.Duration, limit int) ([]Run, error) {
	return postgres.All(ctx, s.db, `select `+runColumns+` from agent_runs
		where cancel_requested_at < now() - $1::interval and status in ('queued', 'running', 'waiting')
		order by cancel_requested_at limit $2`, []any{age, limit}, scanRun)
}
