package activities

import (
	"context"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"

	"github.com/larirun/lari/internal/runs"
)

// Reconcile makes one pass over the runs of every tenant.
func (a *Activities) Reconcile(ctx context.Context, p runs.Pass) (runs.Pass, error) {
	ctx, stopHeartbeats := a.heartbeat(ctx, uuid.Nil)
	defer stopHeartbeats()
	done, err := a.Runs.Reconcile(ctx, p.Retried(int(activity.GetInfo(ctx).Attempt)))
	return done, interrupted(ctx, err)
}
