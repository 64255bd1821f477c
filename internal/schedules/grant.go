package schedules

import (
	"context"
	"time"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

// checkEnd reports as Forbidden a schedule that would fire after the caller's key has ended: nobody lets runs start
// for longer than they could start them. A zero end is none. Tokens hold a membership, which has no end.
func checkEnd(ctx context.Context, end time.Time) error {
	limit := auth.From(ctx).GrantsUntil()
	if limit.IsZero() || !end.IsZero() && !end.After(limit) {
		return nil
	}
	return fault.New(fault.Forbidden, "Your key ends at %s: the schedule needs an end_at that is not later.", limit.UTC().Format(time.RFC3339))
}
