package deliveries_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/deliveries"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
)

// A delivery is handed over, made, and asked for once more before the courier has noted the first hand-over. The note
// must not stand for the second round, of which the engine knows nothing if its process dies now.
func TestMarkHanded_KeepsToItsRound(t *testing.T) {
	t.Parallel()
	r := start(t)
	endpoint := r.endpoint(t, nil, event.RunStarted)
	must(t, r.record(t, nil, deliveries.Posting{Type: event.RunStarted}))
	r.sql(t, `update deliveries set created_at = now() - interval '1 minute'`)
	var id uuid.UUID
	r.hold = func(k deliveries.Key) {
		r.hold = nil
		d, err := r.Begin(r.ctx, k, string(event.RunStarted))
		must(t, err)
		must(t, r.Record(r.ctx, k, deliveries.Attempt{At: clock.Now()}, deliveries.Delivered))
		_, err = r.Redeliver(r.ctx, endpoint, d.ID) // there is no courier: the offer is lost, as in a process that died
		must(t, err)
		id = d.ID
	}
	must(t, r.Search(r.ctx))
	if k := r.next(t, 1)[0]; k.Round != 1 {
		t.Fatalf("round %d was handed over first", k.Round)
	}
	must(t, r.Search(r.ctx))
	if len(r.taken) != 1 {
		t.Fatal("the second round is pending, and nobody hands it over")
	}
	second := r.next(t, 1)[0]
	if second.Round != 2 {
		t.Errorf("round %d was handed over second", second.Round)
	}
	// What the first round's workflow says late is not about the second one.
	first := second
	first.Round = 1
	must(t, r.Record(r.ctx, first, deliveries.Attempt{At: clock.Now()}, deliveries.Delivered))
	must(t, r.GiveUp(r.ctx, first))
	if d, attempts, err := r.Find(r.ctx, endpoint, id); err != nil || d.Status != deliveries.Pending || len(attempts) != 1 {
		t.Errorf("the second round is %+v with %d attempts, %v", d, len(attempts), err)
	}
	must(t, r.Record(r.ctx, second, deliveries.Attempt{At: clock.Now()}, deliveries.Delivered))
	if d, _, err := r.Find(r.ctx, endpoint, id); err != nil || d.Status != deliveries.Delivered {
		t.Errorf("the second round is %+v, %v", d, err)
	}
}

// More deliveries than a page holds cannot be handed over, or go to an endpoint that fails. Those behind them are
// found all the same.
func TestSearch_PassesWhatCannotBeHandedOver(t *testing.T) {
	t.Parallel()
	r := start(t)
	dead, alive := r.endpoint(t, nil, event.RunStarted), r.endpoint(t, nil, event.RunCompleted)
	r.sql(t, `update webhook_endpoints set failing_since = now() where id = $1`, dead)
	post := func(n int, connector string, endpoint *uuid.UUID, age string) {
		r.sql(t, `insert into deliveries (tenant_id, run_id, seq, type, connector, endpoint_id, created_at)
			select $1, $2, n, 'run_started', $3, $4, now() - $5::interval from generate_series(1, $6) n`, r.tenant, r.run, connector, endpoint, age, n)
	}
	post(600, deliveries.Endpoints, &dead, "3 hours")
	post(600, "stuck", nil, "2 hours")
	post(1, deliveries.Endpoints, &alive, "1 hour")
	r.refuses = func(k deliveries.Key) bool { return k.Connector == "stuck" }
	for pass := 1; len(r.taken) == 0; pass++ {
		if pass > 3 {
			t.Fatal("what stands behind a page of deliveries that cannot be handed over is not found")
		}
		_ = r.Search(r.ctx) // whose error is that of those that cannot
	}
	if k := r.next(t, 1)[0]; k.EndpointID == nil || *k.EndpointID != alive {
		t.Errorf("handed over %s", k)
	}
}
