package webhooks

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
)

// namedEndpoints is how many endpoints an error names.
const namedEndpoints = 5

// CheckUnused returns fault.Conflict with the ids of endpoints that are told of this agent's runs only. Their addresses
// are not named: a path is often a key.
func (s *Service) CheckUnused(ctx context.Context, agent uuid.UUID) error {
	found, total, err := s.store.endpointsOf(ctx, agent, namedEndpoints)
	if err != nil || total == 0 {
		return err
	}
	ids := make([]string, 0, len(found))
	for _, id := range found {
		ids = append(ids, id.String())
	}
	return fault.New(fault.Conflict, "Webhook endpoints are told of its runs only (%d): %s. Change or delete them first, or say force=true.",
		total, strings.Join(ids, ", "))
}
