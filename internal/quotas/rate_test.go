package quotas_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/ratelimit"
	"github.com/larirun/lari/internal/quotas"
)

// replicas are limiters of several processes over one database, in a time that the test moves on: that of
// the limiters and that of the tenant's bucket.
type replicas struct {
	*world
	limiters []*ratelimit.Limiter
	offset   atomic.Int64
	leases   atomic.Int64
}

func newReplicas(t *testing.T, n int) *replicas {
	t.Helper()
	r := &replicas{world: newWorld(t)}
	for range n {
		service := quotas.NewService(r.database.Open(t, postgres.Config{MaxConns: 4}))
		r.limiters = append(r.limiters, ratelimit.New(func(ctx context.Context, tenant uuid.UUID, n int) (ratelimit.Grant, error) {
			r.leases.Add(1)
			return service.Lease(ctx, tenant, n)
		}, 0, r.now, slog.New(slog.DiscardHandler)))
	}
	return r
}

func (r *replicas) now() time.Time { return time.Now().Add(time.Duration(r.offset.Load())) }

// pass lets time pass; nobody may be asking.
func (r *replicas) pass(t *testing.T, d time.Duration) {
	t.Helper()
	r.exec(t, `update rate_buckets set full_at = full_at - $1::interval`, d)
	r.offset.Add(int64(d))
}

// hammer asks on all limiters side by side until each has refused, and gives when requests were admitted.
func (r *replicas) hammer(t *testing.T) []time.Time {
	t.Helper()
	var mu sync.Mutex
	var admitted []time.Time
	var all sync.WaitGroup
	for _, l := range r.limiters {
		for range 4 {
			all.Go(func() {
				for l.Take(r.ctx, r.tenant).Allowed {
					at := r.now()
					mu.Lock()
					admitted = append(admitted, at)
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	return admitted
}

// Three processes, asked for more than there is all the time: in no minute is more admitted than the limit,
// and in every minute nearly that.
func TestTheLimitHoldsAcrossReplicas(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]int{"1": 1, "7": 7, "100": 100, "600": 600} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReplicas(t, 3)
			r.allow(t, quotas.Limits{RequestsPerMinute: &limit})
			began := r.now()
			var admitted []time.Time
			for r.now().Sub(began) < 150*time.Second {
				admitted = append(admitted, r.hammer(t)...)
				r.pass(t, 500*time.Millisecond)
			}
			slices.SortFunc(admitted, time.Time.Compare)
			most := 0
			for i, first := 0, 0; i < len(admitted); i++ {
				for admitted[i].Sub(admitted[first]) >= time.Minute {
					first++
				}
				most = max(most, i-first+1)
			}
			if most > limit {
				t.Errorf("%d requests were admitted in a minute, the limit is %d", most, limit)
			}
			minute := 0
			for _, at := range admitted {
				if at.Sub(began) < time.Minute {
					minute++
				}
			}
			if minute*10 < limit*9 {
				t.Errorf("%d requests were admitted in the first minute, the limit is %d", minute, limit)
			}
			if rate := float64(len(admitted)) / r.now().Sub(began).Minutes(); limit > 10 && rate < 0.9*float64(limit) {
				t.Errorf("%.1f requests were admitted a minute, the limit is %d", rate, limit)
			}
		})
	}
}

// A flood that is refused does not reach the database.
func TestAFloodCostsNothing(t *testing.T) {
	t.Parallel()
	r := newReplicas(t, 1)
	r.allow(t, quotas.Limits{RequestsPerMinute: ptr(5)})
	r.hammer(t)
	before := r.leases.Load()
	var flood sync.WaitGroup
	for range 20 {
		flood.Go(func() {
			for range 5000 {
				if r.limiters[0].Take(r.ctx, r.tenant).Allowed {
					t.Error("a request was admitted")
				}
			}
		})
	}
	flood.Wait()
	if n := r.leases.Load() - before; n >= 5 {
		t.Errorf("100,000 refusals cost %d calls of the database", n)
	}
}

// A limit that changes holds within five seconds, and does not give the burst once more.
func TestALimitIsChanged(t *testing.T) {
	t.Parallel()
	r := newReplicas(t, 2)
	rate := func(limit int) { r.allow(t, quotas.Limits{RequestsPerMinute: &limit}) }
	soon := func() { // 5 s, and nobody remembers what was
		for range 10 {
			r.hammer(t)
			r.pass(t, 500*time.Millisecond)
		}
	}
	per := func(seconds int) (n int) {
		for range 2 * seconds {
			n += len(r.hammer(t))
			r.pass(t, 500*time.Millisecond)
		}
		return n
	}
	rate(1)
	if n := len(r.hammer(t)); n != 1 {
		t.Fatalf("%d were admitted at once", n)
	}
	rate(600)
	soon()
	if n := per(10); n < 85 || n > 140 {
		t.Errorf("%d were admitted in ten seconds after the limit was raised to 600", n)
	}
	rate(6)
	soon()
	if n := per(60); n < 5 || n > 6 {
		t.Errorf("%d were admitted in a minute after the limit was lowered to 6", n)
	}
	_, err := r.Replace(r.platform(), r.tenant, quotas.Limits{})
	must(t, err)
	for range 10 { // hammer would not end
		r.limiters[0].Take(r.ctx, r.tenant)
		r.pass(t, 500*time.Millisecond)
	}
	for range 1000 {
		if d := r.limiters[0].Take(r.ctx, r.tenant); !d.Allowed || d.Limit != 0 {
			t.Fatalf("after the limit was taken away: %+v", d)
		}
	}
	rate(6)
	r.pass(t, 5*time.Second)
	if n := len(r.hammer(t)); n > 1 {
		t.Errorf("%d were admitted at once after a limit was set", n)
	}
}

func TestTenantsDoNotShareABucket(t *testing.T) {
	t.Parallel()
	r := newReplicas(t, 1)
	r.allow(t, quotas.Limits{RequestsPerMinute: ptr(3)})
	r.hammer(t)
	ctx, other := r.database.Tenant(t, "other")
	if d := r.limiters[0].Take(ctx, other); !d.Allowed || d.Limit != 0 {
		t.Errorf("another tenant gets %+v", d)
	}
	if d := r.limiters[0].Take(ctx, uuid.New()); !d.Allowed {
		t.Errorf("one that does not exist gets %+v", d)
	}
}

func TestRequestsPassWhilePostgresIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.allow(t, quotas.Limits{RequestsPerMinute: ptr(1)})
	gone := quotas.NewService(w.database.Open(t, postgres.Config{URL: "postgres://nobody@127.0.0.1:1/none?sslmode=disable"}))
	var logged bytes.Buffer
	l := ratelimit.New(gone.Lease, 0, time.Now, slog.New(slog.NewTextHandler(&logged, nil)))
	for range 1000 {
		if d := l.Take(w.ctx, w.tenant); !d.Allowed {
			t.Fatalf("a request was refused: %+v", d)
		}
	}
	if n := strings.Count(logged.String(), "level=WARN"); n != 1 {
		t.Errorf("it was logged %d times: %s", n, logged.String())
	}
}

func BenchmarkLease(b *testing.B) {
	w := newWorld(b)
	w.allow(b, quotas.Limits{RequestsPerMinute: ptr(1_000_000)})
	for b.Loop() {
		if _, err := w.Lease(w.ctx, w.tenant, 1); err != nil {
			b.Fatal(err)
		}
	}
}
