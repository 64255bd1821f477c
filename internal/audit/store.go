package audit

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

type store struct {
	db *postgres.DB
}

func (s store) insert(ctx context.Context, e Entry) error {
	_, err := s.db.Exec(ctx, `
		insert into audit_logs (id, tenant_id, at, actor, action, resource_type, resource_id, outcome, request_id, data, dedup_key)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (tenant_id, dedup_key) do nothing`,
		uuid.Must(uuid.NewV7()), scope.Tenant(ctx), e.At, e.Actor, e.Action, e.ResourceType, e.ResourceID, e.Outcome,
		e.RequestID, []byte(e.Data), e.Key)
	return err
}
