package quotas_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/ratelimit"
	"github.com/larirun/lari/internal/quotas"
)

// Where the platform has no word of a tenant the default holds; the platform raises it, and the tenant only narrows it.
func TestDefaultLimits_HoldUntilThePlatformSaysAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	defaults := quotas.Limits{
		ConcurrentRuns: ptr(2), HeldRuns: ptr(3), RunsPerDay: ptr(4), RequestsPerMinute: ptr(600), Schedules: ptr(5), Streams: ptr(6),
	}
	must(t, w.ReplaceDefaults(w.ctx, defaults))
	must(t, w.ReplaceDefaults(w.ctx, defaults)) // another process
	effective := func() quotas.Limits {
		t.Helper()
		q, err := w.Find(w.ctx, w.tenant)
		must(t, err)
		l, err := w.Limit(w.ctx)
		must(t, err)
		if *l.ConcurrentRuns != *q.Effective.ConcurrentRuns || *q.Default.ConcurrentRuns != 2 {
			t.Errorf("the limits are %+v, effective %+v, by default %+v", l, q.Effective, q.Default)
		}
		return q.Effective
	}
	admits := func(want int) {
		t.Helper()
		n := 0
		for range want + 2 {
			var refused bool
			must(t, w.conn.QueryRow(t.Context(), `select lari.admit_run($1, null, false) ? 'refused'`, w.tenant).Scan(&refused))
			if !refused {
				n++
				w.run(t)
			}
		}
		if n != want {
			t.Errorf("%d runs were admitted, want %d", n, want)
		}
		w.exec(t, `delete from agent_runs`)
		w.exec(t, `delete from quota_usage`)
	}
	leased := func() int {
		t.Helper()
		g, err := w.Lease(w.ctx, w.tenant, 1)
		must(t, err)
		return g.Limit
	}
	l := effective()
	if *l.ConcurrentRuns != 2 || *l.HeldRuns != 3 || *l.RunsPerDay != 4 || *l.RequestsPerMinute != 600 || *l.Schedules != 5 || *l.Streams != 6 {
		t.Errorf("by default %+v holds", l)
	}
	if n := leased(); n != 0 {
		t.Errorf("what each process keeps by itself is leased: %d", n)
	}
	admits(2)
	_, err := w.Replace(w.ctx, w.tenant, quotas.Limits{ConcurrentRuns: ptr(100), RequestsPerMinute: ptr(10_000), Streams: ptr(100)})
	must(t, err)
	if l = effective(); *l.ConcurrentRuns != 2 || *l.RequestsPerMinute != 600 || *l.Streams != 6 || leased() != 0 {
		t.Errorf("a tenant widened its limits to %+v", l)
	}
	admits(2)
	_, err = w.Replace(w.ctx, w.tenant, quotas.Limits{ConcurrentRuns: ptr(1), RequestsPerMinute: ptr(60)})
	must(t, err)
	if l = effective(); *l.ConcurrentRuns != 1 || *l.RequestsPerMinute != 60 || leased() != 60 {
		t.Errorf("a tenant narrowed its limits to %+v", l)
	}
	admits(1)
	_, err = w.Replace(w.ctx, w.tenant, quotas.Limits{})
	must(t, err)
	w.allow(t, quotas.Limits{ConcurrentRuns: ptr(3), RequestsPerMinute: ptr(6000)}) // the others still hold
	if l = effective(); *l.ConcurrentRuns != 3 || *l.RequestsPerMinute != 6000 || *l.HeldRuns != 3 || leased() != 6000 {
		t.Errorf("the platform raised the limits to %+v", l)
	}
	admits(3)
	must(t, w.ReplaceDefaults(w.ctx, quotas.Limits{ConcurrentRuns: ptr(2)}))
	if l = effective(); *l.ConcurrentRuns != 3 || l.HeldRuns != nil {
		t.Errorf("without a default %+v holds", l)
	}
}

// The default of requests holds in each process, also while the database is away, and costs it nothing.
func TestDefaultRequestLimit_HoldsWithoutLeases(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	l := ratelimit.New(w.Lease, 600, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	admitted := 0
	var last ratelimit.Decision
	for last = l.Take(w.ctx, w.tenant); last.Allowed; last = l.Take(w.ctx, w.tenant) {
		admitted++
		if last.Limit != 600 || last.Remaining != 40-admitted {
			t.Fatalf("request %d: %+v", admitted, last)
		}
	}
	if admitted != 40 || last.Retry <= 0 || last.Retry > time.Second {
		t.Errorf("%d were admitted at once, and then %+v", admitted, last)
	}
	minute := admitted
	for range 600 {
		now = now.Add(100 * time.Millisecond)
		for l.Take(w.ctx, w.tenant).Allowed {
			minute++
		}
	}
	if minute < 540+40 || minute > 601 {
		t.Errorf("%d were admitted in a minute", minute)
	}
	_, other := w.database.Tenant(t, "other")
	if !l.Take(w.ctx, other).Allowed {
		t.Error("another tenant has no requests left")
	}
}
