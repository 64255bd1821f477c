package schedules

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
)

// use is a schedule that names something.
type use struct {
	id   uuid.UUID
	name string
}

// uses returns the first schedules that have firings to come and name something, and how many there are. A template
// without an agent names the one with the slug assistant.
func (s store) uses(ctx context.Context, r Reference, limit int) (found []use, total int, err error) {
	text := func(id uuid.UUID) string {
		if id == uuid.Nil {
			return ""
		}
		return id.String()
	}
	found, err = postgres.All(ctx, s.db, `select id, name, count(*) over () from schedules
		where tenant_id = (select lari.tenant_id()) and state <> 'deleting' and seen_state in ('active', 'paused')
			and ($1 <> '' and lower(coalesce(nullif(run ->> 'agent', ''), 'assistant')) in ($1, $2)
				or $3 <> '' and run ->> 'thread_id' = $3 or $4 <> '' and run ->> 'workspace_id' = $4)
		order by id limit $5`,
		[]any{text(r.AgentID), r.AgentSlug, text(r.ThreadID), text(r.WorkspaceID), limit}, func(row pgx.CollectableRow) (u use, err error) {
			err = row.Scan(&u.id, &u.name, &total)
			return u, err
		})
	return found, total, err
}
