package deliveries_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/deliveries"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
)

func TestEachEventGoesToThoseWhoWantIt(t *testing.T) {
	t.Parallel()
	r := start(t)
	other := uuid.New()
	r.sql(t, `insert into agents (id, tenant_id, slug, name, version, created_at, updated_at) values ($1, $2, 'b', 'b', 1, now(), now())`, other, r.tenant)
	all := r.endpoint(t, nil, event.RunStarted, event.RunCompleted)
	own := r.endpoint(t, &r.agent, event.RunCompleted)
	r.endpoint(t, &other, event.RunStarted, event.RunCompleted)
	off := r.endpoint(t, nil, event.RunStarted, event.RunCompleted)
	r.sql(t, `update webhook_endpoints set status = 'disabled' where id = $1`, off)
	r.courier(t)
	err := r.record(t, nil, deliveries.Posting{Type: event.RunStarted, Connectors: []string{"alerts"}}, deliveries.Posting{Type: event.RunProgress}, deliveries.Posting{Type: event.RunCompleted})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range r.next(t, 4) {
		got = append(got, k.String())
	}
	want := []string{
		r.run.String() + ":1:alerts", r.run.String() + ":1:endpoints:" + all.String(),
		r.run.String() + ":3:endpoints:" + all.String(), r.run.String() + ":3:endpoints:" + own.String(),
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// The outbox is part of the record: what is not recorded is told to nobody, and nothing is told twice.
func TestWhatIsRecordedIsToldOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.endpoint(t, nil, event.RunStarted)
	broken := errors.New("broken")
	if err := r.record(t, broken, deliveries.Posting{Type: event.RunStarted}); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := r.record(t, nil, deliveries.Posting{Type: event.RunStarted}); err != nil {
		t.Fatal(err)
	}
	var listeners []deliveries.Listener
	again := func() {
		if err := r.db.DB.Batch(r.ctx, r.Listeners(r.tenant, &listeners)); err != nil {
			t.Fatal(err)
		}
		statement, posted, _ := r.Post(r.tenant, r.run, r.agent, []deliveries.Posting{{Type: event.RunStarted}}, listeners)
		if err := r.db.DB.Batch(r.ctx, statement); err != nil {
			t.Fatal(err)
		}
		posted()
	}
	again()
	// What the log does not hold is posted to nobody.
	statement, _, _ := r.Post(r.tenant, r.run, r.agent, []deliveries.Posting{{Type: event.RunStarted, Behind: -1}}, listeners)
	if err := r.db.DB.Batch(r.ctx, statement); err != nil {
		t.Fatal(err)
	}
	r.courier(t)
	first := r.next(t, 1)[0]
	if err := r.record(t, nil, deliveries.Posting{Type: event.RunStarted}); err != nil {
		t.Fatal(err)
	}
	if second := r.next(t, 1)[0]; first.Seq != 1 || second.Seq != 2 {
		t.Errorf("told of %s and %s", first, second)
	}
}

// A process that dies, or an engine that is away, delays a delivery and never loses it.
func TestWhatWasNotHandedOverIsFound(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.endpoint(t, nil, event.RunStarted)
	r.setAway(true)
	for range 3 { // this process has no courier: it died
		if err := r.record(t, nil, deliveries.Posting{Type: event.RunStarted}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Search(r.ctx); err != nil || len(r.taken) != 0 {
		t.Errorf("young ones are on their way: error %v, %d taken", err, len(r.taken))
	}
	r.sql(t, `update deliveries set created_at = now() - interval '1 minute'`)
	if err := r.Search(r.ctx); !errors.Is(err, errAway) {
		t.Errorf("the engine is away: %v", err)
	}
	r.setAway(false)
	if err := r.Search(r.ctx); err != nil {
		t.Fatal(err)
	}
	if keys := r.next(t, 3); keys[0].Seq != 1 || keys[2].Seq != 3 {
		t.Errorf("handed over %v", keys)
	}
	if err := r.Search(r.ctx); err != nil || len(r.taken) != 0 {
		t.Errorf("handed over twice: error %v, %d taken", err, len(r.taken))
	}
}

func TestADeliveryFromItsFirstAttemptToItsLast(t *testing.T) {
	t.Parallel()
	r := start(t)
	endpoint := r.endpoint(t, nil, event.RunStarted)
	r.courier(t)
	if err := r.record(t, nil, deliveries.Posting{Type: event.RunStarted}); err != nil {
		t.Fatal(err)
	}
	k := r.next(t, 1)[0]
	d, err := r.Begin(r.ctx, k, string(event.RunStarted))
	if err != nil || d.Status != deliveries.Pending || d.Attempts != 0 {
		t.Fatalf("%+v, error %v", d, err)
	}
	if _, err := r.Redeliver(r.ctx, endpoint, d.ID); !fault.Is(err, fault.Conflict) {
		t.Errorf("redelivered while it is tried: %v", err)
	}
	code := 500
	must(t, r.Record(r.ctx, k, deliveries.Attempt{At: clock.Now(), DurationMS: 12, StatusCode: &code, Error: "it answered 500", Response: "sorry"}, deliveries.Pending))
	must(t, r.Record(r.ctx, k, deliveries.Attempt{At: clock.Now(), DurationMS: 3}, deliveries.Delivered))
	must(t, r.Record(r.ctx, k, deliveries.Attempt{At: clock.Now()}, deliveries.Refused)) // late: it is over
	must(t, r.GiveUp(r.ctx, k))
	d, attempts, err := r.Find(r.ctx, endpoint, d.ID)
	if err != nil || d.Status != deliveries.Delivered || d.Attempts != 2 || d.Error != "" || d.FinishedAt == nil {
		t.Errorf("%+v, error %v", d, err)
	}
	if len(attempts) != 2 || attempts[0].N != 2 || attempts[1].Error != "it answered 500" || *attempts[1].StatusCode != 500 || attempts[1].Response != "sorry" {
		t.Errorf("attempts %+v", attempts)
	}
	if _, err := r.Redeliver(r.ctx, endpoint, d.ID); err != nil {
		t.Fatal(err)
	}
	again := r.next(t, 1)[0]
	if again.String() != k.String() || again.Round != 2 {
		t.Errorf("redelivered %s in round %d, want %s", again, again.Round, k)
	}
	must(t, r.GiveUp(r.ctx, again))
	if d, _, err := r.Find(r.ctx, endpoint, d.ID); err != nil || d.Status != deliveries.Failed {
		t.Errorf("%+v, error %v", d, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestListsAndTenants(t *testing.T) {
	t.Parallel()
	r := start(t)
	endpoint := r.endpoint(t, nil, event.RunProgress)
	r.endpoint(t, nil, event.RunProgress) // its deliveries are not in the other's list
	for range 5 {
		must(t, r.record(t, nil, deliveries.Posting{Type: event.RunProgress}))
	}
	var seqs []int64
	for cursor := ""; ; {
		p, err := r.FindAll(r.ctx, deliveries.Filter{EndpointID: endpoint, Status: []deliveries.Status{deliveries.Pending}}, page.Request{Limit: 2, Cursor: cursor})
		must(t, err)
		for _, d := range p.Items {
			seqs = append(seqs, d.Seq)
		}
		if p.NextCursor == nil {
			break
		}
		cursor = *p.NextCursor
	}
	slices.Sort(seqs)
	if !slices.Equal(seqs, []int64{1, 2, 3, 4, 5}) {
		t.Errorf("listed %v", seqs)
	}
	stranger, _ := r.db.Tenant(t, "other")
	p, err := r.FindAll(stranger, deliveries.Filter{EndpointID: endpoint}, page.Request{})
	if err != nil || len(p.Items) != 0 {
		t.Errorf("a stranger lists %d deliveries, error %v", len(p.Items), err)
	}
	mine, err := r.FindAll(r.ctx, deliveries.Filter{EndpointID: endpoint}, page.Request{})
	must(t, err)
	if _, _, err := r.Find(stranger, endpoint, mine.Items[0].ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("a stranger finds a delivery: %v", err)
	}
	if _, err := r.Redeliver(stranger, endpoint, mine.Items[0].ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("a stranger redelivers: %v", err)
	}
}

func TestOldDeliveriesGoAndPendingOnesStay(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.endpoint(t, nil, event.RunProgress)
	for range 3 {
		must(t, r.record(t, nil, deliveries.Posting{Type: event.RunProgress}))
	}
	r.sql(t, `update deliveries set status = 'delivered', finished_at = now() where seq < 3`)
	r.sql(t, `update deliveries set created_at = now() - interval '31 days' where seq > 1`)
	if n, err := r.Purge(r.ctx); n != 1 || err != nil {
		t.Errorf("%d were removed, error %v; want the one that is old and over", n, err)
	}
}

// The backlog holds what is still tried, and endpoints that are disabled and not removed, of every tenant.
func TestBacklog(t *testing.T) {
	t.Parallel()
	r := start(t)
	want := func(want deliveries.Backlog) {
		t.Helper()
		got, err := r.FindBacklog(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.Oldest >= time.Hour && got.Oldest < time.Hour+time.Minute {
			got.Oldest = time.Hour
		}
		if got != want {
			t.Errorf("the backlog is %+v, want %+v", got, want)
		}
	}
	want(deliveries.Backlog{})
	r.endpoint(t, nil, event.RunStarted)
	off, removed := r.endpoint(t, nil, event.RunError), r.endpoint(t, nil, event.RunError)
	r.sql(t, `update webhook_endpoints set status = 'disabled', deleted_at = case when id = $2 then now() end where id in ($1, $2)`, off, removed)
	if err := r.record(t, nil, deliveries.Posting{Type: event.RunStarted, Connectors: []string{"alerts"}}); err != nil {
		t.Fatal(err)
	}
	r.sql(t, `update deliveries set created_at = now() - interval '1 hour', handed_at = now() where connector = 'alerts'`)
	want(deliveries.Backlog{DisabledEndpoints: 1, Pending: 2, Oldest: time.Hour})
	r.sql(t, `update deliveries set status = 'delivered', finished_at = now()`)
	want(deliveries.Backlog{DisabledEndpoints: 1})
}
