package audit

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
)

// The statements of anchors run as the platform: they are about every tenant.

// heads returns where logs stand, by tenant, after the given one.
func (s store) heads(ctx context.Context, after uuid.UUID, limit int) ([]Anchor, error) {
	return postgres.All(ctx, s.db, `select tenant_id, position, hash from audit_heads where tenant_id > $1 and position > 0 order by tenant_id limit $2`,
		[]any{after, limit}, func(row pgx.CollectableRow) (Anchor, error) {
			a := Anchor{Kind: KindHead}
			err := row.Scan(&a.TenantID, &a.Position, (*[]byte)(&a.Hash))
			return a, err
		})
}

// holds reports, by tenant, whether its log has the row of the anchor.
func (s store) holds(ctx context.Context, anchors []Anchor) (map[uuid.UUID]bool, error) {
	held := map[uuid.UUID]bool{}
	if len(anchors) == 0 {
		return held, nil
	}
	var tenants []uuid.UUID
	var positions []int64
	var hashes [][]byte
	for _, a := range anchors {
		tenants, positions, hashes = append(tenants, a.TenantID), append(positions, a.Position), append(hashes, a.Hash)
	}
	found, err := postgres.All(ctx, s.db, `
		select l.tenant_id from unnest($1::uuid[], $2::bigint[], $3::bytea[]) as a (tenant_id, position, hash)
		join audit_logs l on l.tenant_id = a.tenant_id and l.position = a.position and l.hash = a.hash`,
		[]any{tenants, positions, hashes}, pgx.RowTo[uuid.UUID])
	for _, tenant := range found {
		held[tenant] = true
	}
	return held, err
}

const tombstoneSelect = `select tenant_id, deletion_id, position, hash, erased_at from audit_tombstones `

func scanTombstone(row pgx.CollectableRow) (Anchor, error) {
	a := Anchor{Kind: KindTombstone, DeletionID: new(uuid.UUID)}
	err := row.Scan(&a.TenantID, a.DeletionID, &a.Position, (*[]byte)(&a.Hash), &a.At)
	return a, err
}

// tombstones returns where logs ended whose tenants were erased, by tenant, after the given one.
func (s store) tombstones(ctx context.Context, after uuid.UUID, limit int) ([]Anchor, error) {
	return postgres.All(ctx, s.db, tombstoneSelect+`where tenant_id > $1 order by tenant_id limit $2`, []any{after, limit}, scanTombstone)
}

func (s store) unsignedTombstones(ctx context.Context, limit int) ([]Anchor, error) {
	return postgres.All(ctx, s.db, tombstoneSelect+`where signature is null limit $1`, []any{limit}, scanTombstone)
}

// signTombstone adds the signature, unless another process did.
func (s store) signTombstone(ctx context.Context, a Anchor) error {
	_, err := s.db.Exec(ctx, `update audit_tombstones set key_id = $2, signature = $3 where tenant_id = $1 and signature is null`,
		a.TenantID, a.KeyID, []byte(a.Signature))
	return err
}
