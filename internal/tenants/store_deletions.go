package tenants

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

// The statements of deletions run as the platform: their table is its own.

func (s store) lockTenant(ctx context.Context, id uuid.UUID) (Tenant, error) {
	return s.one(ctx, id.String(), tenantSelect+`id = $1 for update`, id)
}

func (s store) markDeleting(ctx context.Context, id uuid.UUID, reason string, at clock.Time) error {
	_, err := s.db.Exec(ctx, `update tenants set status = 'deleting', status_reason = $2, status_at = $3, updated_at = $3 where id = $1`, id, reason, at)
	return err
}

func (s store) insertDeletion(ctx context.Context, d Deletion, t Tenant) error {
	_, err := s.db.Exec(ctx, `insert into tenant_deletions (id, tenant_id, slug, name, phase, reason, requested_by, requested_at, erase_at, export,
			status_before, reason_before, status_at_before)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		d.ID, d.TenantID, d.Slug, d.Name, d.Phase, d.Reason, d.RequestedBy, d.RequestedAt, d.EraseAt, d.Export, t.Status, t.StatusReason, t.StatusAt)
	return err
}

const deletionSelect = `select id, tenant_id, slug, name, phase, reason, requested_by, requested_at, erase_at, cancelled_by, cancelled_at, began_at,
		finished_at, export, export_path, manifest_sha256, error, audit_position, audit_hash, step, exported, erased, t.erased_at, t.key_id, encode(t.signature, 'hex')
	from tenant_deletions d left join lateral (select erased_at, key_id, signature from audit_tombstones where deletion_id = d.id and tenant_id = d.tenant_id) t on true `

func scanDeletion(row pgx.CollectableRow) (d Deletion, err error) {
	var position *int64
	var hash []byte
	var end AuditEnd
	err = row.Scan(&d.ID, &d.TenantID, &d.Slug, &d.Name, &d.Phase, &d.Reason, &d.RequestedBy, &d.RequestedAt, &d.EraseAt, &d.CancelledBy,
		&d.CancelledAt, &d.BeganAt, &d.FinishedAt, &d.Export, &d.ExportPath, &d.ManifestSHA256, &d.Error, &position, &hash, &d.step, &d.files, &d.erased,
		&end.ErasedAt, &end.KeyID, &end.Signature)
	if position != nil {
		end.Position, end.Hash = *position, hex.EncodeToString(hash)
		d.Audit = &end
	}
	d.count()
	return d, err
}

func (s store) deletion(ctx context.Context, id uuid.UUID) (Deletion, bool, error) {
	return postgres.One(ctx, s.db, deletionSelect+`where id = $1`, []any{id}, scanDeletion)
}

func (s store) lastDeletion(ctx context.Context, tenant uuid.UUID) (Deletion, bool, error) {
	return postgres.One(ctx, s.db, deletionSelect+`where tenant_id = $1 order by id desc limit 1`, []any{tenant}, scanDeletion)
}

// lockDeletion is lastDeletion, held until the transaction ends.
func (s store) lockDeletion(ctx context.Context, tenant uuid.UUID) (Deletion, bool, error) {
	return postgres.One(ctx, s.db, deletionSelect+`where tenant_id = $1 order by id desc limit 1 for update of d`, []any{tenant}, scanDeletion)
}

func (s store) openDeletion(ctx context.Context, tenant uuid.UUID) (Deletion, bool, error) {
	return postgres.One(ctx, s.db, deletionSelect+`where tenant_id = $1 and phase not in ('completed', 'cancelled')`, []any{tenant}, scanDeletion)
}

// dueDeletions gives those that are not over and whose grace period is.
func (s store) dueDeletions(ctx context.Context) ([]Deletion, error) {
	return postgres.All(ctx, s.db, deletionSelect+`where phase not in ('completed', 'cancelled') and erase_at <= now() order by id`, nil, scanDeletion)
}

// cancelDeletion ends a deletion and gives the tenant back what it was.
func (s store) cancelDeletion(ctx context.Context, d Deletion) error {
	return s.db.Batch(ctx,
		postgres.Statement{
			SQL:  `update tenant_deletions set phase = $2, cancelled_by = $3, cancelled_at = $4 where id = $1`,
			Args: []any{d.ID, d.Phase, d.CancelledBy, d.CancelledAt},
		},
		postgres.Statement{
			SQL: `update tenants t set status = d.status_before, status_reason = d.reason_before, status_at = d.status_at_before, updated_at = $2
				from tenant_deletions d where d.id = $1 and t.id = d.tenant_id`, Args: []any{d.ID, d.CancelledAt},
		})
}

// enter moves a deletion on to another phase, unless it is in another than was thought.
func (s store) enter(ctx context.Context, id uuid.UUID, from, to Phase) error {
	_, err := s.db.Exec(ctx, `update tenant_deletions set phase = $3, step = '{}', error = '', began_at = coalesce(began_at, $4) where id = $1 and phase = $2`,
		id, from, to, now())
	return err
}

func (s store) noteError(ctx context.Context, id uuid.UUID, text string) error {
	_, err := s.db.Exec(ctx, `update tenant_deletions set error = $2 where id = $1`, id, text)
	return err
}

func (s store) putStep(ctx context.Context, id uuid.UUID, in Phase, at step) error {
	_, err := s.db.Exec(ctx, `update tenant_deletions set step = $3, error = '' where id = $1 and phase = $2`, id, in, at)
	return err
}

func (s store) restartExport(ctx context.Context, id uuid.UUID, folder string) error {
	_, err := s.db.Exec(ctx, `update tenant_deletions set step = '{}', exported = '{}', export_path = $2 where id = $1 and phase = 'exporting'`, id, folder)
	return err
}

func (s store) putExported(ctx context.Context, id uuid.UUID, table string, file exportFile) error {
	_, err := s.db.Exec(ctx, `update tenant_deletions set step = '{}', error = '', exported = exported || jsonb_build_object($2::text, $3::jsonb)
		where id = $1 and phase = 'exporting'`, id, table, file)
	return err
}

func (s store) finishExport(ctx context.Context, id uuid.UUID, manifest string) error {
	_, err := s.db.Exec(ctx, `update tenant_deletions set phase = 'erasing', step = '{}', error = '', manifest_sha256 = $2
		where id = $1 and phase = 'exporting'`, id, manifest)
	return err
}

// putErased adds to what was erased of a table, in the transaction that erases it.
func (s store) putErased(ctx context.Context, id uuid.UUID, table string, n int64, at step) error {
	touched, err := s.db.Exec(ctx, `update tenant_deletions set step = $4, error = '',
			erased = case when $3 > 0 then erased || jsonb_build_object($2::text, coalesce((erased ->> $2)::bigint, 0) + $3) else erased end
		where id = $1 and phase = 'erasing'`, id, table, n, at)
	if err == nil && touched == 0 {
		err = fault.New(fault.Conflict, "The deletion is not erasing.")
	}
	return err
}

// finishDeletion removes the tenant's own row and closes its record.
func (s store) finishDeletion(ctx context.Context, id, tenant uuid.UUID, at clock.Time) error {
	var gone bool
	err := s.db.Batch(ctx,
		postgres.Statement{
			SQL: `update tenant_deletions d set audit_position = h.ended_at, audit_hash = h.ended_with,
					erased = erased || jsonb_build_object('audit_heads', 1)
				from lari.erase_audit_head($2) h where d.id = $1`, Args: []any{id, tenant},
		},
		postgres.Statement{
			SQL: `delete from tenants where id = $1 returning true`, Args: []any{tenant}, Read: postgres.Row(&gone, nil, pgx.RowTo[bool]),
		},
		postgres.Statement{
			SQL: `update tenant_deletions set phase = 'completed', finished_at = $2, step = '{}', error = '', erased = erased || jsonb_build_object('tenants', 1)
				where id = $1 and phase = 'erasing'`, Args: []any{id, at},
		})
	if err == nil && !gone {
		err = fmt.Errorf("the tenant %s was gone before its deletion was complete", tenant)
	}
	return err
}
