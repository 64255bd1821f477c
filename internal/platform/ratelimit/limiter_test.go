package ratelimit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/ratelimit"
)

// rig is a limiter over a bucket and a clock that are the test's.
type rig struct {
	*ratelimit.Limiter
	tenant uuid.UUID
	logged bytes.Buffer

	mu    sync.Mutex
	at    time.Time
	grant ratelimit.Grant // of every lease; Granted is at most what was asked for
	err   error
	asked []int
}

func newRig(g ratelimit.Grant) *rig {
	r := &rig{tenant: uuid.New(), at: time.Now(), grant: g}
	r.Limiter = ratelimit.New(r.lease, 0, r.clock, slog.New(slog.NewTextHandler(&r.logged, nil)))
	return r
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = r.at.Add(d)
}

func (r *rig) set(g ratelimit.Grant, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.grant, r.err = g, err
}

func (r *rig) lease(_ context.Context, _ uuid.UUID, n int) (ratelimit.Grant, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, n)
	g := r.grant
	g.Granted = min(g.Granted, n)
	return g, r.err
}

func (r *rig) leases() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

func (r *rig) take(t *testing.T, allowed bool) ratelimit.Decision {
	t.Helper()
	d := r.Take(t.Context(), r.tenant)
	if d.Allowed != allowed {
		t.Fatalf("the request is admitted: %v, want %v (%+v)", d.Allowed, allowed, d)
	}
	return d
}

// plenty is a bucket that gives what is asked for, empty one that gives nothing.
func plenty() ratelimit.Grant {
	return ratelimit.Grant{Limit: 2400, Granted: 100, Remaining: 50, Burst: 160, Every: 27 * time.Millisecond}
}

func empty(next time.Duration) ratelimit.Grant {
	return ratelimit.Grant{Limit: 60, Burst: 4, Every: time.Second, NextIn: next}
}

func TestATenantWithoutALimitIsAskedForSeldom(t *testing.T) {
	t.Parallel()
	r := newRig(ratelimit.Grant{})
	for range 10 {
		for range 1000 {
			if d := r.take(t, true); d.Limit != 0 {
				t.Fatalf("it has the limit %d", d.Limit)
			}
		}
		r.pass(time.Second)
	}
	if n := r.leases(); n > 4 {
		t.Errorf("the database was asked %d times in ten seconds", n)
	}
}

func TestRequestsAreLeasedInBatches(t *testing.T) {
	t.Parallel()
	r := newRig(plenty())
	for range 91 { // the first lease does not know the limit yet
		if d := r.take(t, true); d.Limit != 2400 || d.Remaining < 50 || d.Remaining > 160 || d.Reset <= 0 {
			t.Fatalf("the decision is %+v", d)
		}
	}
	if n := r.leases(); n != 10 || r.asked[0] != 1 || r.asked[1] != 10 {
		t.Errorf("the leases were of %v", r.asked)
	}
}

func TestWhatWasLeasedExpires(t *testing.T) {
	t.Parallel()
	r := newRig(plenty())
	r.take(t, true)
	r.take(t, true) // the first of ten
	r.set(empty(time.Second), nil)
	r.pass(ratelimit.Life - time.Millisecond)
	r.take(t, true)
	r.pass(time.Millisecond)
	r.take(t, false)
}

func TestARefusalIsRemembered(t *testing.T) {
	t.Parallel()
	r := newRig(empty(2 * time.Second))
	var flood sync.WaitGroup
	for range 50 {
		flood.Go(func() {
			for range 1000 {
				if r.Take(t.Context(), r.tenant).Allowed {
					t.Error("a request was admitted")
				}
			}
		})
	}
	flood.Wait()
	if n := r.leases(); n >= 5 {
		t.Errorf("%d leases for 50,000 refusals", n)
	}
	if d := r.take(t, false); d.Retry != 2*time.Second || d.Remaining != 0 || d.Reset != 5*time.Second || d.Limit != 60 {
		t.Errorf("the refusal is %+v", d)
	}
	r.pass(1500 * time.Millisecond)
	if d := r.take(t, false); d.Retry != 500*time.Millisecond {
		t.Errorf("a later refusal is %+v", d)
	}
	r.set(plenty(), nil)
	r.pass(500 * time.Millisecond)
	r.take(t, true)
}

// A limit that is raised, lowered, set or taken away holds within five seconds.
func TestAChangedLimitIsNoticed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before, after ratelimit.Grant
		allowed       bool
		limit         int
	}{
		"raised from very low": {empty(61 * time.Second), plenty(), true, 2400},
		"lowered":              {plenty(), empty(time.Second), false, 60},
		"set":                  {ratelimit.Grant{}, empty(time.Second), false, 60},
		"taken away":           {empty(61 * time.Second), ratelimit.Grant{}, true, 0},
		"taken away unused":    {plenty(), ratelimit.Grant{}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(test.before)
			r.Take(t.Context(), r.tenant)
			r.Take(t.Context(), r.tenant)
			r.set(test.after, nil)
			for range 50 { // while there is traffic
				r.pass(100 * time.Millisecond)
				r.Take(t.Context(), r.tenant)
			}
			if d := r.take(t, test.allowed); d.Limit != test.limit {
				t.Errorf("the limit is %d, want %d", d.Limit, test.limit)
			}
		})
	}
}

func TestWithoutADatabaseRequestsPass(t *testing.T) {
	t.Parallel()
	r := newRig(empty(time.Second))
	r.take(t, false)
	r.set(ratelimit.Grant{}, errors.New("connection refused"))
	r.pass(time.Second)
	for range 20 {
		for range 1000 {
			r.take(t, true)
		}
		r.pass(500 * time.Millisecond)
	}
	if n := r.leases(); n > 12 {
		t.Errorf("the database was asked %d times in ten seconds", n)
	}
	if n := strings.Count(r.logged.String(), "level=WARN"); n != 1 {
		t.Errorf("it was logged %d times in ten seconds: %s", n, r.logged.String())
	}
	r.pass(30 * time.Second)
	r.take(t, true)
	if n := strings.Count(r.logged.String(), "level=WARN"); n != 2 {
		t.Errorf("it was logged %d times in forty seconds", n)
	}
	r.set(empty(time.Second), nil)
	r.pass(time.Second)
	r.take(t, false)
}

// One asks for all that wait, and those who leave leave nothing behind.
func TestOneAsksForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var leases, most atomic.Int32
		gate := make(chan struct{})
		l := ratelimit.New(func(_ context.Context, _ uuid.UUID, n int) (ratelimit.Grant, error) {
			leases.Add(1)
			most.Store(max(most.Load(), int32(n))) //nolint:gosec // a few
			<-gate
			return ratelimit.Grant{Limit: 600, Granted: n, Burst: 40, Every: 100 * time.Millisecond}, nil
		}, 0, time.Now, slog.New(slog.DiscardHandler))
		tenant := uuid.New()
		var admitted atomic.Int32
		for range 20 {
			go func() {
				if l.Take(t.Context(), tenant).Allowed {
					admitted.Add(1)
				}
			}()
		}
		synctest.Wait() // one of them asks
		leaving, leave := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			l.Take(leaving, tenant)
			close(left)
		}()
		synctest.Wait()
		if leases.Load() != 1 {
			t.Errorf("%d ask at a time", leases.Load())
		}
		leave()
		<-left
		close(gate)
		synctest.Wait()
		if admitted.Load() != 20 || leases.Load() > 3 || most.Load() < 19 {
			t.Errorf("%d were admitted with %d leases, the largest of %d", admitted.Load(), leases.Load(), most.Load())
		}
	}) // the bubble would not end while a goroutine is left in it
}

// Callers that name ever new tenants do not fill the memory.
func TestTenantsAreForgotten(t *testing.T) {
	t.Parallel()
	r := newRig(ratelimit.Grant{})
	for range 100_000 {
		r.Take(t.Context(), uuid.New())
	}
	if n := r.Known(); n > 16*4096 {
		t.Errorf("%d tenants are remembered", n)
	}
}
