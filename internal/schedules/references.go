package schedules

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
)

// Reference is what the template of a schedule may name. Zero fields name nothing.
type Reference struct {
	AgentID, ThreadID, WorkspaceID uuid.UUID
	AgentSlug                      string
}

// namedUses is how many schedules an error names.
const namedUses = 5

// CheckUnused returns fault.Conflict with the names of schedules that would fire in vain without what is referred to.
// Those that have ended, or that Temporal has lost, do not count.
func (s *Service) CheckUnused(ctx context.Context, r Reference) error {
	uses, total, err := s.store.uses(ctx, r, namedUses)
	if err != nil || total == 0 {
		return err
	}
	names := make([]string, 0, len(uses)+1)
	for _, u := range uses {
		names = append(names, fmt.Sprintf("%q (%s)", u.name, u.id))
	}
	if more := total - len(uses); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	what := "schedules name it"
	if total == 1 {
		what = "schedule names it"
	}
	return fault.New(fault.Conflict, "%d %s: %s. Change or delete them first, or say force=true: their firings are refused then.",
		total, what, strings.Join(names, ", "))
}
