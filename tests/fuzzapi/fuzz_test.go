package fuzzapi

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larirun/lari/tests/harness"
)

var (
	count   = flag.Uint64("fuzz-requests", 1000, "how many requests to send")
	seed    = flag.Uint64("fuzz-seed", 20261125, "draws the chances; 0: one of this moment")
	only    = flag.Uint64("fuzz-only", 0, "send just this request of the seed (counted from 1), and print it")
	longest = flag.Duration("fuzz-time", 10*time.Minute, "stop after this long")
)

const (
	workers    = 6
	tendEvery  = 200
	mostFaults = 25

	againWhenAway = 3
)

// fault is a request that was answered as none may be.
type fault struct {
	n   uint64
	q   *request
	err error
}

// TestRequests sends the requests and demands what is owed of every answer, then that the program is as it
// was before.
func TestRequests(t *testing.T) {
	t.Parallel()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	w := newWorld(t, workers)
	before := ours()
	f := flood{world: w, statuses: map[int]int{}, called: map[string]int{}, passed: map[string]int{}, faults: map[string]fault{}}
	began := time.Now()
	ctx, stop := context.WithTimeout(t.Context(), *longest)
	defer stop()
	f.run(ctx, t)
	took := time.Since(began)
	f.report(t, took)
	nobody := w.process.Nobody(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		nobody.Do(t, "GET", path, nil).Want(t, 200)
	}
	w.client.CloseIdleConnections()
	w.stopAll(t)
	harness.Eventually(t, 30*time.Second, "the streams and requests are gone", func() bool { return ours() <= before+workers })
}

// ours counts the goroutines that serve requests.
func ours() (n int) {
	var text strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&text, 2); err != nil {
		return 0
	}
	for stack := range strings.SplitSeq(text.String(), "\n\n") {
		if strings.Contains(stack, "larirun/lari/api.") {
			n++
		}
	}
	return n
}

// flood is the sending of the requests.
type flood struct {
	*world
	next     atomic.Uint64
	sent     atomic.Int64
	late     atomic.Int64 // answers that said that a part is away
	replaced int

	lock     sync.Mutex
	statuses map[int]int
	called   map[string]int // by operation
	passed   map[string]int // of these, those that succeeded
	faults   map[string]fault
}

func (f *flood) run(ctx context.Context, t *testing.T) {
	t.Helper()
	if *only > 0 {
		f.one(ctx, *only)
		return
	}
	for from := uint64(0); from < *count && ctx.Err() == nil; from += tendEvery {
		to := min(from+tendEvery, *count)
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for ctx.Err() == nil {
					n := f.next.Add(1)
					if n > to {
						return
					}
					f.one(ctx, n)
				}
			})
		}
		all.Wait()
		f.next.Store(to)
		f.replaced += f.tend(t)
		if len(f.faults) >= mostFaults {
			return
		}
	}
}

func (f *flood) one(ctx context.Context, n uint64) {
	q := f.plan(*seed, n)
	if *only > 0 {
		fmt.Println(q.curl(f.process.URL))
	}
	a, err := f.send(ctx, q)
	// A busy machine may be late for once. What is said to be away although it is not stays away.
	for range againWhenAway {
		if a.status != http.StatusServiceUnavailable && a.status != http.StatusGatewayTimeout || err == nil || ctx.Err() != nil {
			break
		}
		f.late.Add(1)
		a, err = f.send(ctx, q)
	}
	if ctx.Err() != nil {
		return
	}
	f.sent.Add(1)
	known := f.tenants()[q.tenant].pool
	switch {
	case a.status == http.StatusNotFound, a.status == http.StatusNoContent && q.op.Method == http.MethodDelete:
		known.lose(q.op, q.values)
	case a.status/100 == 2:
		known.learn(f.doc, q.op, q.values, a.body)
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	f.statuses[a.status]++
	f.called[q.op.ID]++
	if a.status/100 == 2 {
		f.passed[q.op.ID]++
	}
	if err == nil {
		return
	}
	key := fmt.Sprintf("%s %d %.60s", q.op.ID, a.status, err)
	if _, known := f.faults[key]; !known {
		f.faults[key] = fault{n, q, err}
	}
}

func (f *flood) report(t *testing.T, took time.Duration) {
	t.Helper()
	for _, key := range sortedKeys(f.faults) {
		b := f.faults[key]
		t.Errorf("request %d of seed %d, %s as %q (%s): %v\n  %s", b.n, *seed, b.q.op.Name(), b.q.role, strings.Join(b.q.what, ", "), b.err, b.q.curl(f.process.URL))
	}
	if *only > 0 {
		return
	}
	var never, unpassed []string
	for _, o := range f.doc.Operations {
		if f.called[o.ID] == 0 {
			never = append(never, o.ID)
		}
		if f.passed[o.ID] == 0 {
			unpassed = append(unpassed, o.ID)
		}
	}
	if *count >= 1000 && len(never) > 0 && len(f.faults) == 0 {
		t.Errorf("these operations were not called: %v", never)
	}
	t.Logf("seed %d: %d requests in %s (%.0f per second) to %d operations, answers by status %v, %d late ones asked for again; %d tenants replaced; never with success: %v",
		*seed, f.sent.Load(), took.Round(time.Millisecond), float64(f.sent.Load())/took.Seconds(), len(f.called), f.statuses, f.late.Load(), f.replaced, unpassed)
	if n := f.statuses[http.StatusOK] + f.statuses[http.StatusCreated] + f.statuses[http.StatusAccepted]; *count >= 1000 && n < int(*count)/20 {
		t.Errorf("only %d requests succeeded: they are too bad to find anything", n)
	}
}
