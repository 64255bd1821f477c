package schedules

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// acceptAll accepts every run and keeps the ids.
type acceptAll struct {
	Runs
	ids []uuid.UUID
}

func (a *acceptAll) Accept(_ context.Context, _ Template, id, _ uuid.UUID) (bool, error) {
	a.ids = append(a.ids, id)
	return false, nil
}

// A firing that an earlier version took on, under an id of its nominal time, makes no second run; one that waits there
// gets an id of the time at which its run is accepted.
func TestFire_KnowsFiringsOfEarlierVersions(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	ctx, tenant := d.Tenant(t, "one")
	runs := &acceptAll{}
	s := NewService(Deps{DB: d.DB, Runs: runs})
	r := row{id: uuid.New(), tenant: tenant, name: "x", state: active, createdAt: clock.Now(), updatedAt: clock.Now()}
	if _, _, err := s.store.insert(ctx, r); err != nil {
		t.Fatal(err)
	}
	long := time.Date(2024, 3, 1, 9, 0, 0, 0, time.UTC)
	for execution, outcome := range map[string]firingOutcome{"a": outcomeStarted, "b": outcomeWaiting, "c": outcomeRefused} {
		f := Firing{ScheduleID: r.id, Nominal: long, Execution: execution}
		_, err := d.DB.Exec(ctx, `insert into schedule_firings (id, tenant_id, schedule_id, nominal_at, kind, outcome, code, fired_at)
			values ($1, $2, $3, $4, 'backfill', $5, 'paused', now())`, f.nominalID(), tenant, r.id, long, outcome)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			fired, err := s.Fire(ctx, f)
			known := fired.RunID != nil && *fired.RunID == f.nominalID()
			if err != nil || known != (outcome == outcomeStarted) || (fired.Code == fault.Paused) != (outcome == outcomeRefused) {
				t.Errorf("%s became %+v, %v", outcome, fired, err)
			}
		}
	}
	if len(runs.ids) != 1 || time.Unix(runs.ids[0].Time().UnixTime()).Before(time.Now().Add(-time.Minute)) {
		t.Errorf("the runs %v were accepted; want one, with an id of now", runs.ids)
	}
}
