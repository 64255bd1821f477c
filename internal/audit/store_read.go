package audit

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
)

const columns = `l.position, l.id, l.tenant_id, l.at, l.actor, l.action, l.resource_type, l.resource_id, l.outcome,
	l.request_id, l.client_ip, l.dedup_key, l.data::text, l.prev_hash, l.hash`

func (r *Record) fields() []any {
	return []any{
		&r.Position, &r.ID, &r.TenantID, &r.At, &r.Actor, &r.Action, &r.ResourceType, &r.ResourceID, &r.Outcome,
		&r.RequestID, &r.ClientIP, &r.Key, (*[]byte)(&r.Data), (*[]byte)(&r.PrevHash), (*[]byte)(&r.Hash),
	}
}

func scan(row pgx.CollectableRow) (r Record, err error) {
	err = row.Scan(r.fields()...)
	return r, err
}

// after gives at most limit records that lie behind the position, in the order of the chain.
func (s store) after(ctx context.Context, f Filter, position int64, limit int) ([]Record, error) {
	return s.list(ctx, f, "l.position > $%d", position, "asc", limit)
}

// before gives at most limit records that lie before the position, the newest first.
func (s store) before(ctx context.Context, f Filter, position int64, limit int) ([]Record, error) {
	return s.list(ctx, f, "l.position < $%d", position, "desc", limit)
}

func (s store) list(ctx context.Context, f Filter, bound string, position int64, order string, limit int) ([]Record, error) {
	var args []any
	// The policy filters by tenant as well; naming it here lets the planner walk the chain's index.
	where := []string{"l.tenant_id = (select lari.tenant_id())"}
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	for _, c := range [...]struct{ column, value string }{
		{"actor", f.Actor},
		{"action", f.Action},
		{"resource_type", f.ResourceType},
		{"resource_id", f.ResourceID},
		{"outcome", f.Outcome},
		{"request_id", f.RequestID},
	} {
		if c.value != "" {
			add("l."+c.column+" = $%d", c.value)
		}
	}
	if f.From != nil {
		add("l.at >= $%d", *f.From)
	}
	if f.To != nil {
		add("l.at < $%d", *f.To)
	}
	add(bound, position)
	args = append(args, limit)
	sql := fmt.Sprintf(`select %s from audit_logs l where %s order by l.position %s limit $%d`,
		columns, strings.Join(where, " and "), order, len(args))
	return postgres.All(ctx, s.db, sql, args, scan)
}

// head is the end of a chain, as it is written down beside it.
type head struct {
	position int64
	hash     Hash
	ok       bool // it is written down
}

// walk hands the tenant's whole chain to visit, in the order of its positions and together with its head
// as both were at one instant. A record is only valid during its call. When there is no record the head
// is that of a moment before.
func (s store) walk(ctx context.Context, tenant uuid.UUID, visit func(*Record) error) (h head, err error) {
	var r Record
	err = s.db.Batch(ctx,
		postgres.Statement{SQL: headSQL, Args: []any{tenant}, Read: postgres.Row(&h, nil, func(row pgx.CollectableRow) (head, error) {
			h := head{ok: true}
			err := row.Scan(&h.position, (*[]byte)(&h.hash))
			return h, err
		})},
		postgres.Statement{SQL: walkSQL, Args: []any{tenant}, Read: func(rows pgx.Rows) error {
			for rows.Next() {
				var position *int64
				if err := rows.Scan(append(r.fields(), &position, (*[]byte)(&h.hash))...); err != nil {
					return err
				}
				if h.ok = position != nil; h.ok {
					h.position = *position
				}
				if err := visit(&r); err != nil {
					return err
				}
			}
			return rows.Err()
		}})
	return h, err
}

const (
	headSQL = `select position, hash from audit_heads where tenant_id = $1`

	// One statement sees rows and head at the same instant.
	walkSQL = `select ` + columns + `, (select position from audit_heads where tenant_id = $1), (select hash from audit_heads where tenant_id = $1)
		from audit_logs l where l.tenant_id = $1 order by l.position`
)
