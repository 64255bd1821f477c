package tenants

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

type store struct {
	db *postgres.DB
}

// insert adds a tenant; created is false when another one has its id or its slug.
func (s store) insert(ctx context.Context, t Tenant) (created bool, err error) {
	n, err := s.db.Exec(ctx, `insert into tenants (id, slug, name, status, status_at, created_at, updated_at) values ($1, $2, $3, $4, $5, $5, $5)
		on conflict do nothing`, t.ID, t.Slug, t.Name, t.Status, t.CreatedAt)
	return n == 1, err
}

const (
	tenantColumns = `id, slug, name, status, status_reason, status_at, created_at, updated_at`
	tenantSelect  = `select ` + tenantColumns + ` from tenants where `
)

func scanTenant(row pgx.CollectableRow) (t Tenant, err error) {
	err = row.Scan(&t.ID, &t.Slug, &t.Name, &t.Status, &t.StatusReason, &t.StatusAt, &t.CreatedAt, &t.UpdatedAt)
	return t, err
}

func (s store) bySlug(ctx context.Context, slug string) (Tenant, error) {
	return s.one(ctx, slug, tenantSelect+`slug = $1`, slug)
}

func (s store) byID(ctx context.Context, id uuid.UUID) (Tenant, error) {
	return s.one(ctx, id.String(), tenantSelect+`id = $1`, id)
}

func (s store) one(ctx context.Context, ref, sql string, args ...any) (Tenant, error) {
	t, ok, err := postgres.One(ctx, s.db, sql, args, scanTenant)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "There is no tenant %s.", ref)
	}
	return t, err
}

// list gives at most limit tenants before the id, newest first; of all, or of those with the ids.
func (s store) list(ctx context.Context, f Filter, ids []uuid.UUID, before uuid.UUID, limit int) ([]Tenant, error) {
	where, args := []string{"id < $1"}, []any{before}
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if ids != nil {
		add("id = any($%d)", ids)
	}
	if len(f.Status) > 0 {
		add("status = any($%d)", f.Status)
	}
	if f.SlugPrefix != "" {
		add("slug like $%d", strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(f.SlugPrefix)+"%")
	}
	args = append(args, limit)
	return postgres.All(ctx, s.db, fmt.Sprintf(tenantSelect+`%s order by id desc limit $%d`, strings.Join(where, " and "), len(args)), args, scanTenant)
}

func (s store) rename(ctx context.Context, id uuid.UUID, name string, at clock.Time) (Tenant, error) {
	return s.one(ctx, id.String(), `update tenants set name = $2, updated_at = $3 where id = $1 returning `+tenantColumns, id, name, at)
}

// setStatus gives a tenant a status and the reason for it; changed is false for one that does not exist or is
// being deleted. The time stays when the status does.
func (s store) setStatus(ctx context.Context, id uuid.UUID, to Status, reason string, at clock.Time) (t Tenant, changed bool, err error) {
	return postgres.One(ctx, s.db, `update tenants set status = $2, status_reason = $3, updated_at = $4,
			status_at = case when status = $2 then status_at else $4 end
		where id = $1 and status <> 'deleting' returning `+tenantColumns, []any{id, to, reason, at}, scanTenant)
}
