package tenants

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

type store struct {
	db *postgres.DB
}

func (s store) insert(ctx context.Context, t Tenant) error {
	_, err := s.db.Exec(ctx, `insert into tenants (id, slug, name, created_at) values ($1, $2, $3, $4)`, t.ID, t.Slug, t.Name, t.CreatedAt)
	if postgres.UniqueViolation(err) == "tenants_slug_key" {
		return fault.New(fault.Conflict, "Another tenant has the slug %s.", t.Slug)
	}
	return err
}

const tenantSelect = `select id, slug, name, created_at from tenants where `

func (s store) bySlug(ctx context.Context, slug string) (Tenant, error) {
	return s.one(ctx, slug, tenantSelect+`slug = $1`, slug)
}

func (s store) byID(ctx context.Context, id uuid.UUID) (Tenant, error) {
	return s.one(ctx, id.String(), tenantSelect+`id = $1`, id)
}

func (s store) one(ctx context.Context, ref, sql string, arg any) (Tenant, error) {
	t, ok, err := postgres.One(ctx, s.db, sql, []any{arg}, func(row pgx.CollectableRow) (Tenant, error) {
		var t Tenant
		err := row.Scan(&t.ID, &t.Slug, &t.Name, &t.CreatedAt)
		return t, err
	})
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "There is no tenant %s.", ref)
	}
	return t, err
}

func (s store) insertWorkspace(ctx context.Context, w Workspace) error {
	_, err := s.db.Exec(ctx, `insert into workspaces (id, tenant_id, slug, name, created_at) values ($1, $2, $3, $4, $5)`,
		w.ID, w.TenantID, w.Slug, w.Name, w.CreatedAt)
	return err
}

func (s store) workspace(ctx context.Context, ref string) (Workspace, error) {
	w, ok, err := postgres.One(ctx, s.db, `select id, tenant_id, slug, name, created_at from workspaces where slug = $1 or id::text = $1`, []any{ref},
		func(row pgx.CollectableRow) (Workspace, error) {
			var w Workspace
			err := row.Scan(&w.ID, &w.TenantID, &w.Slug, &w.Name, &w.CreatedAt)
			return w, err
		})
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "There is no workspace %s.", ref)
	}
	return w, err
}

func (s store) insertKey(ctx context.Context, k Key, hash []byte) error {
	_, err := s.db.Exec(ctx, `insert into api_keys (id, tenant_id, name, prefix, hash, role, scopes, created_by, created_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		k.ID, k.TenantID, k.Name, k.Prefix, hash, k.Role, k.Scopes, k.CreatedBy, k.CreatedAt, k.ExpiresAt)
	return err
}

func (s store) revokeKey(ctx context.Context, id uuid.UUID, at clock.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `update api_keys set revoked_at = coalesce(revoked_at, $2) where id = $1`, id, at)
	return n == 1, err
}

// key keeps NULL scopes (all of the role) apart from an empty list (nothing).
func (s store) key(ctx context.Context, prefix string) (auth.KeyRecord, error) {
	k, ok, err := postgres.One(ctx, s.db, `select id, prefix, hash, tenant_id, role, scopes, expires_at, revoked_at from api_keys where prefix = $1`,
		[]any{prefix}, func(row pgx.CollectableRow) (auth.KeyRecord, error) {
			var k auth.KeyRecord
			err := row.Scan(&k.ID, &k.Prefix, &k.Hash, &k.TenantID, &k.Role, &k.Scopes, &k.ExpiresAt, &k.RevokedAt)
			return k, err
		})
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "There is no such key.")
	}
	return k, err
}
