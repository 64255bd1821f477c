package runs

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/postgres"
)

// activeLimit bounds the question which runs are active.
const activeLimit = 5 * time.Second

// StillActive tells which of the runs, of whatever tenant, have not ended. For metrics: no caller's
// request leads here.
func (s *Service) StillActive(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]bool, error) {
	ctx, stop := context.WithTimeout(postgres.AsSystem(ctx), activeLimit)
	defer stop()
	found, err := s.store.stillActive(ctx, ids)
	active := make(map[uuid.UUID]bool, len(found))
	for _, id := range found {
		active[id] = true
	}
	return active, err
}
