package tenants

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

const workspaceColumns = `id, tenant_id, slug, name, created_at`

func scanWorkspace(row pgx.CollectableRow) (w Workspace, err error) {
	err = row.Scan(&w.ID, &w.TenantID, &w.Slug, &w.Name, &w.CreatedAt)
	return w, err
}

func errNoWorkspace(ref string) error {
	return fault.New(fault.NotFound, "There is no workspace %s.", ref)
}

// insertWorkspace adds a workspace, unless one of that id exists.
func (s store) insertWorkspace(ctx context.Context, w Workspace) error {
	_, err := s.db.Exec(ctx, `insert into workspaces (id, tenant_id, slug, name, created_at) values ($1, $2, $3, $4, $5) on conflict (id) do nothing`,
		w.ID, w.TenantID, w.Slug, w.Name, w.CreatedAt)
	if postgres.UniqueViolation(err) == "workspaces_tenant_id_slug_key" {
		return fault.New(fault.Conflict, "Another workspace has the slug %s.", w.Slug)
	}
	return err
}

func (s store) workspace(ctx context.Context, ref string) (Workspace, error) {
	w, ok, err := postgres.One(ctx, s.db, `select `+workspaceColumns+` from workspaces
		where tenant_id = (select lari.tenant_id()) and (slug = $1 or id::text = $1)`, []any{ref}, scanWorkspace)
	if err == nil && !ok {
		err = errNoWorkspace(ref)
	}
	return w, err
}

func (s store) workspaces(ctx context.Context, before uuid.UUID, limit int) ([]Workspace, error) {
	return postgres.All(ctx, s.db, `select `+workspaceColumns+` from workspaces
		where tenant_id = (select lari.tenant_id()) and id < $1 order by id desc limit $2`, []any{before, limit}, scanWorkspace)
}

func (s store) renameWorkspace(ctx context.Context, id uuid.UUID, name string) (Workspace, error) {
	w, ok, err := postgres.One(ctx, s.db, `update workspaces set name = $2 where id = $1 returning `+workspaceColumns, []any{id, name}, scanWorkspace)
	if err == nil && !ok {
		err = errNoWorkspace(id.String())
	}
	return w, err
}

func (s store) deleteWorkspace(ctx context.Context, id uuid.UUID) error {
	n, err := s.db.Exec(ctx, `delete from workspaces where id = $1`, id)
	switch {
	case postgres.ForeignKeyViolation(err) != "":
		return fault.Wrap(err, fault.Conflict, "Runs belong to the workspace: it cannot be removed.")
	case err == nil && n == 0:
		return errNoWorkspace(id.String())
	}
	return err
}
