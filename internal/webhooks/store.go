package webhooks

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

type store struct {
	db *postgres.DB
}

func missing() error { return fault.New(fault.NotFound, "There is no such webhook.") }

const endpointSelect = `select e.id, e.tenant_id, e.url, e.description, e.events, e.agent_id, e.fields,
		array(select jsonb_object_keys(h.headers)), e.status, e.disabled_at, e.disabled_reason, e.failing_since,
		coalesce((
			select jsonb_agg(jsonb_build_object('id', s.id, 'created_at', s.created_at, 'expires_at', s.expires_at) order by s.created_at desc, s.id desc)
			from webhook_secrets s
			where s.tenant_id = e.tenant_id and s.endpoint_id = e.id and (s.expires_at is null or s.expires_at > now())), '[]'),
		e.created_by, e.created_at, e.updated_at
	from webhook_endpoints e left join webhook_headers h on h.endpoint_id = e.id
	where e.tenant_id = (select lari.tenant_id()) and e.deleted_at is null`

func scanRow(row pgx.CollectableRow) (Endpoint, error) {
	var e Endpoint
	var names []string
	err := row.Scan(&e.ID, &e.TenantID, &e.URL, &e.Description, &e.Events, &e.AgentID, &e.Fields, &names, &e.Status, &e.DisabledAt,
		&e.DisabledReason, &e.FailingSince, &e.Secrets, &e.CreatedBy, &e.CreatedAt, &e.UpdatedAt)
	e.Headers = make(map[string]string, len(names))
	for _, name := range names {
		e.Headers[name] = mask
	}
	return e, err
}

func scanShown(row pgx.CollectableRow) (Endpoint, error) {
	e, err := scanRow(row)
	e.Fields = shownFields(e.Fields)
	return e, err
}

func (s store) find(ctx context.Context, id uuid.UUID) (Endpoint, error) {
	e, ok, err := postgres.One(ctx, s.db, endpointSelect+` and e.id = $1`, []any{id}, scanShown)
	if err == nil && !ok {
		err = missing()
	}
	return e, err
}

func (s store) list(ctx context.Context, before uuid.UUID, limit int) ([]Endpoint, error) {
	return postgres.All(ctx, s.db, endpointSelect+` and e.id < $1 order by e.id desc limit $2`, []any{before, limit}, scanShown)
}

// lock holds an endpoint until the transaction ends, and then reads it as it is stored.
func (s store) lock(ctx context.Context, id uuid.UUID) (r record, err error) {
	var found bool
	err = s.db.Batch(ctx,
		postgres.Statement{SQL: `select from webhook_endpoints where id = $1 for no key update`, Args: []any{id}},
		postgres.Statement{SQL: endpointSelect + ` and e.id = $1`, Args: []any{id}, Read: postgres.Row(&r.Endpoint, &found, scanRow)})
	if err == nil && !found {
		err = missing()
	}
	return r, err
}

// emptied is how long a deleted endpoint is remembered: longer than deliveries and idempotency keys are.
const emptied = "31 days"

// insert adds an endpoint, unless one of that id exists; others is the number of those beside it. The lock
// on the tenant makes the count hold until the transaction ends.
func (s store) insert(ctx context.Context, r record) (created bool, others int, err error) {
	err = s.db.Batch(ctx,
		postgres.Statement{SQL: `select from tenants where id = $1 for no key update`, Args: []any{r.TenantID}},
		postgres.Statement{
			SQL:  `delete from webhook_endpoints where tenant_id = $1 and deleted_at < now() - $2::interval`,
			Args: []any{r.TenantID, emptied},
		},
		postgres.Statement{
			SQL:  `select count(*) from webhook_endpoints where tenant_id = $1 and deleted_at is null and id <> $2`,
			Args: []any{r.TenantID, r.ID}, Read: postgres.Row(&others, nil, pgx.RowTo[int]),
		},
		postgres.Statement{
			SQL: `insert into webhook_endpoints (id, tenant_id, url, description, events, agent_id, fields, created_by, created_at, updated_at)
				values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) on conflict (id) do nothing returning true`,
			Args: []any{r.ID, r.TenantID, r.URL, r.Description, r.Events, r.AgentID, r.Fields, r.CreatedBy, r.at},
			Read: postgres.Row(&created, nil, pgx.RowTo[bool]),
		})
	if err != nil || !created {
		return created, others, err
	}
	return created, others, s.putHeaders(ctx, r)
}

func (s store) update(ctx context.Context, r record) error {
	_, err := s.db.Exec(ctx, `update webhook_endpoints set url = $2, description = $3, events = $4, agent_id = $5, fields = $6,
			failing_since = $7, updated_at = $8
		where id = $1`, r.ID, r.URL, r.Description, r.Events, r.AgentID, r.Fields, r.FailingSince, r.at)
	if err != nil || r.headers == nil {
		return err
	}
	return s.putHeaders(ctx, r)
}

func (s store) putHeaders(ctx context.Context, r record) error {
	_, err := s.db.Exec(ctx, `insert into webhook_headers (endpoint_id, tenant_id, headers) values ($1, $2, $3)
		on conflict (endpoint_id) do update set headers = excluded.headers`, r.ID, r.TenantID, r.headers)
	return err
}

// delete empties an endpoint: nothing of where it was or what signed for it is kept.
func (s store) delete(ctx context.Context, id uuid.UUID, at clock.Time) error {
	var deleted bool
	err := s.db.Batch(ctx,
		postgres.Statement{
			SQL: `update webhook_endpoints set deleted_at = $2, updated_at = $2, status = 'disabled', disabled_at = coalesce(disabled_at, $2),
					disabled_reason = 'It was deleted.', url = '', description = ''
				where id = $1 and deleted_at is null returning true`,
			Args: []any{id, at}, Read: postgres.Row(&deleted, nil, pgx.RowTo[bool]),
		},
		postgres.Statement{SQL: `delete from webhook_secrets where endpoint_id = $1`, Args: []any{id}},
		postgres.Statement{SQL: `delete from webhook_headers where endpoint_id = $1`, Args: []any{id}})
	if err == nil && !deleted {
		err = missing()
	}
	return err
}
