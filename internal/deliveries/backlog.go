package deliveries

import (
	"context"
	"time"

	"github.com/larirun/lari/internal/platform/postgres"
)

// backlogLimit bounds the question what is pending.
const backlogLimit = 5 * time.Second

// Backlog is what waits to be delivered, of every tenant.
type Backlog struct {
	DisabledEndpoints int64
	Pending           int64
	Oldest            time.Duration // since the event of the oldest pending delivery; zero: there is none
}

// FindBacklog gives that of every tenant. For metrics: no caller's request leads here.
func (s *Service) FindBacklog(ctx context.Context) (Backlog, error) {
	ctx, stop := context.WithTimeout(postgres.AsSystem(ctx), backlogLimit)
	defer stop()
	return s.store.backlog(ctx)
}
