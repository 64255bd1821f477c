package deliveries

import (
	"context"

	"github.com/larirun/lari/internal/platform/postgres"
)

// Search makes one search for what nobody handed over.
func (s *Service) Search(ctx context.Context) error { return s.courier.search(postgres.AsSystem(ctx)) }

// Purge makes one purge.
func (s *Service) Purge(ctx context.Context) (int64, error) {
	return s.store.purge(postgres.AsSystem(ctx), retention, purgePage)
}
