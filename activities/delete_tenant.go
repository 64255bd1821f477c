package activities

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/tenants"
)

// TenantDeletion names the deletion of a tenant.
type TenantDeletion struct {
	TenantID   uuid.UUID `json:"tenant_id"`
	DeletionID uuid.UUID `json:"deletion_id"`
}

// AdvanceDeletion goes on with the deletion of a tenant for some seconds. It is short on purpose: the queue of
// maintenance is the reconciler's too. A failure is tried again without end, for a deletion that stops half-way
// would be worse than a late one; but a deletion that does not exist is none.
func (a *Activities) AdvanceDeletion(ctx context.Context, d TenantDeletion) (tenants.Step, error) {
	ctx, stopHeartbeats := a.heartbeat(ctx, uuid.Nil)
	defer stopHeartbeats()
	step, err := a.Deletion.Advance(ctx, d.TenantID, d.DeletionID)
	return step, interrupted(ctx, err)
}
