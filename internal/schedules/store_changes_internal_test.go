package schedules

import (
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// A schedule may be deleted between the look at it and what is done with it.
func TestAChangeOfWhatIsGone(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	ctx, tenant := d.Tenant(t, "one")
	s, at := store{db: d.DB}, clock.Now()
	c := change{id: uuid.New(), tenant: tenant, schedule: uuid.New(), kind: changeTriggered, by: "test", at: at, from: &at.Time, to: &at.Time}
	if _, err := s.addTrigger(ctx, c); !fault.Is(err, fault.NotFound) {
		t.Errorf("a trigger: %v", err)
	}
	if err := s.addChange(ctx, c); !fault.Is(err, fault.NotFound) {
		t.Errorf("a change: %v", err)
	}
}
