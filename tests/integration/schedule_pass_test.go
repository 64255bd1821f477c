package integration

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/fault"
	domain "github.com/larirun/lari/internal/schedules"
)

// stuckSchedules is Temporal, but for the schedules of one tenant, which it seems to be away for.
type stuckSchedules struct {
	domain.Engine
	tenant uuid.UUID

	mu    sync.Mutex
	found []uuid.UUID // of other tenants
}

func (e *stuckSchedules) DeleteSchedule(ctx context.Context, tenant, id uuid.UUID) error {
	if tenant == e.tenant {
		return fault.New(fault.Unavailable, "Temporal is away.")
	}
	return e.Engine.DeleteSchedule(ctx, tenant, id)
}

func (e *stuckSchedules) FindSchedule(ctx context.Context, tenant, id uuid.UUID) (domain.Held, bool, error) {
	if tenant == e.tenant {
		return domain.Held{}, false, fault.New(fault.Unavailable, "Temporal is away.")
	}
	h, found, err := e.Engine.FindSchedule(ctx, tenant, id)
	if err == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.found = append(e.found, id)
	}
	return h, found, err
}

// A tenant has more schedules than a pass looks at that cannot be cleared away, or looked at. Those of another one are.
func TestSchedulePasses_GoOnBehindSchedulesThatAreStuck(t *testing.T) {
	t.Parallel()
	s, p, x := scheduling(t)
	other := p.NewTenant(t, agents.Config{})
	mine := createSchedule(t, other, yearly)
	half := createSchedule(t, other, yearly)
	conn := s.Database.Conn(t)
	insert := func(n int, state, age string) {
		_, err := conn.Exec(t.Context(), `insert into schedules (id, tenant_id, name, run, state, created_by, created_at, updated_at, seen_at)
			select gen_random_uuid(), $1, 'stuck', '{}', $2, 'test', now(), now() - $3::interval, now() - interval '1 day' from generate_series(1, $4)`, x.ID, state, age, n)
		must(t, err)
	}
	insert(130, "deleting", "2 hours")
	insert(20, "active", "2 hours")
	_, err := conn.Exec(t.Context(), `update schedules set state = 'deleting', updated_at = now() - interval '1 hour' where id = $1`, half.ID)
	must(t, err)
	deps := p.App.Schedules.Deps
	engine := &stuckSchedules{Engine: deps.Engine, tenant: x.ID}
	deps.Engine = engine
	service := domain.NewService(deps)
	left := func() (n int) {
		must(t, conn.QueryRow(t.Context(), `select count(*) from schedules where id = $1`, half.ID).Scan(&n))
		return n
	}
	for pass := 1; left() > 0; pass++ {
		if pass > 2 {
			t.Fatal("what stands behind a page of schedules that cannot be cleared away is not cleared away")
		}
		if err := service.Sweep(t.Context()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("the sweep says nothing of those that it could not clear away: %v", err)
		}
	}
	// Schedules are claimed before they are looked at: one that fails must not undo the look at the others.
	for try := 1; !slices.Contains(engine.found, mine.ID); try++ { // the process's own watcher may be there first
		if try > 5 {
			t.Fatalf("it looked at %v, want %s", engine.found, mine.ID)
		}
		_, err = conn.Exec(t.Context(), `update schedules set seen_at = now() - interval '1 hour' where id = $1`, mine.ID)
		must(t, err)
		_, err = conn.Exec(t.Context(), `update schedules set seen_at = now() - interval '2 hours' where tenant_id = $1`, x.ID)
		must(t, err)
		if err := service.Watch(t.Context(), 0); !fault.Is(err, fault.Unavailable) {
			t.Errorf("the watch says nothing of those that it could not look at: %v", err)
		}
	}
}
