// Package flood lets one tenant ask for runs as fast as it can, and measures what another one notices.
package flood

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larirun/lari/tests/harness"
)

// Plan says how much the flood is and how often the other tenant asks.
type Plan struct {
	Requests, Parallel int           // of the tenant that floods
	Every              time.Duration // between two requests of the other one
	Idle               int           // requests of the other one before the flood
	Least              int           // and during it: the flood goes on until they are made
}

// Result is what both saw.
type Result struct {
	Idle, Flooded []time.Duration // latencies of the other tenant's requests, ascending
	Floods        []time.Duration // and of those of the flood
	Failed        []string        // what went wrong for the other one
	Statuses      map[int]int     // of the tenant that floods
	Took          time.Duration   // the flood
}

// add puts the requests of another flood beside those that are there.
func (r *Result) add(o Result) {
	for _, l := range []struct {
		to   *[]time.Duration
		from []time.Duration
	}{{&r.Idle, o.Idle}, {&r.Flooded, o.Flooded}, {&r.Floods, o.Floods}} {
		*l.to = append(*l.to, l.from...)
		slices.Sort(*l.to)
	}
	r.Failed = append(r.Failed, o.Failed...)
	if r.Statuses == nil {
		r.Statuses = map[int]int{}
	}
	for status, n := range o.Statuses {
		r.Statuses[status] += n
	}
	r.Took += o.Took
}

// P95 is the 95th percentile of ascending latencies, by nearest rank.
func P95(latencies []time.Duration) time.Duration {
	return latencies[(len(latencies)*95+99)/100-1]
}

// String shows the figures.
func (r Result) String() string {
	return fmt.Sprintf("flood: %v in %s (p50 %s); other tenant: %d requests idle (p50 %s, p95 %s), %d during the flood (p50 %s, p95 %s), %d failed",
		r.Statuses, r.Took.Round(time.Millisecond), r.Floods[len(r.Floods)/2], len(r.Idle), r.Idle[len(r.Idle)/2], P95(r.Idle),
		len(r.Flooded), r.Flooded[len(r.Flooded)/2], P95(r.Flooded), len(r.Failed))
}

const body = `{"input": "hello"}`

// Run floods as one tenant while the other asks for runs at its pace.
func Run(t testing.TB, p Plan, floods, other *harness.Tenant) Result {
	t.Helper()
	r := Result{Statuses: map[int]int{}}
	// Without the check against the API's description, which would cost more than the requests.
	floods = &harness.Tenant{URL: floods.URL, Token: floods.Token, HTTP: client(t, p.Parallel)}
	other = &harness.Tenant{URL: other.URL, Token: other.Token, HTTP: client(t, 1)}
	ask := func() time.Duration {
		began := time.Now()
		a, err := other.Try(t.Context(), http.MethodPost, "/v1/runs", body)
		switch {
		case err != nil:
			r.Failed = append(r.Failed, err.Error())
		case a.Status != http.StatusAccepted:
			r.Failed = append(r.Failed, fmt.Sprintf("%d %s", a.Status, a.Body))
		}
		return time.Since(began)
	}
	tick := time.NewTicker(p.Every)
	defer tick.Stop()
	ask() // opens the connection
	for range p.Idle {
		<-tick.C
		r.Idle = append(r.Idle, ask())
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.flood(ctx, t, p, floods)
	}()
	for ended := false; !ended || len(r.Flooded) < p.Least; {
		<-tick.C
		r.Flooded = append(r.Flooded, ask())
		if len(r.Flooded) >= p.Least {
			stop() // what goes beyond the plan
		}
		select {
		case <-done:
			ended = true
		default:
		}
	}
	<-done
	slices.Sort(r.Idle)
	slices.Sort(r.Flooded)
	slices.Sort(r.Floods)
	return r
}

// flood sends the planned requests, and more until ctx ends.
func (r *Result) flood(ctx context.Context, t testing.TB, p Plan, x *harness.Tenant) {
	t.Helper()
	var mu sync.Mutex
	var sent atomic.Int64
	var workers sync.WaitGroup
	began := time.Now()
	for range p.Parallel {
		workers.Go(func() {
			for sent.Add(1) <= int64(p.Requests) || ctx.Err() == nil {
				asked := time.Now()
				a, err := x.Try(t.Context(), http.MethodPost, "/v1/runs", body)
				mu.Lock()
				r.Floods = append(r.Floods, time.Since(asked))
				if err != nil {
					r.Statuses[-1]++
				} else {
					r.Statuses[a.Status]++
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	r.Took = time.Since(began)
}

// Bad are the statuses of the flood that it must not see: all but 202 and 429.
func (r Result) Bad() string {
	var bad []string
	for status, n := range r.Statuses {
		if status != http.StatusAccepted && status != http.StatusTooManyRequests {
			bad = append(bad, fmt.Sprintf("%d × %d", n, status))
		}
	}
	return strings.Join(bad, ", ")
}

func client(t testing.TB, connections int) *http.Client {
	t.Helper()
	c := harness.Client(t, connections)
	c.Timeout = 2 * time.Minute
	return c
}
