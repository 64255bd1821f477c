package chaos

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

const (
	crowd     = 50  // runs at once
	wordCount = 200 // of every answer
	midway    = 20  // words that every run has streamed when the blow falls
	before    = 60  // words of a run that the model gives, about, until then
)

// gated streams an answer word by word as it is released, so that there is a middle to kill in.
func gated() fakellm.Rule {
	return fakellm.Rule{Reply: fakellm.Reply{Text: words(wordCount), Delay: 10 * time.Millisecond, Gated: true}}
}

// audience is a crowd of runs, each watched by a follower.
type audience struct {
	followers []*follower
	midway    chan struct{} // closed when every run has streamed its first deltas
	following sync.WaitGroup
	errs      []error
	blow      atomic.Pointer[time.Time] // when the process was killed
	recovered []time.Duration           // of each run: from the blow to the first delta that came after it and a restart
}

// assemble starts the runs and watches each.
func assemble(t *testing.T, x *harness.Tenant, urls func() string) *audience {
	t.Helper()
	a := &audience{midway: make(chan struct{}), followers: make([]*follower, crowd), errs: make([]error, crowd), recovered: make([]time.Duration, crowd)}
	var streaming atomic.Int64
	for i := range crowd {
		f := &follower{x: *x, run: x.StartRun(t, `{"input": "tell me"}`).ID, urls: urls}
		streamed, restarted := 0, false
		f.watch = func(e event.Event) {
			switch e.Type { //nolint:exhaustive // only what is measured
			case event.AttemptRestarted:
				restarted = true
			case event.MessageDelta:
				was := streamed
				streamed += len(strings.Fields(harness.Payload[event.Delta](t, e).Text))
				if was < midway && streamed >= midway && streaming.Add(1) == crowd {
					close(a.midway)
				}
				if at := a.blow.Load(); at != nil && restarted && a.recovered[i] == 0 {
					a.recovered[i] = time.Since(*at)
				}
			}
		}
		a.followers[i] = f
		a.following.Go(func() { a.errs[i] = f.follow(t.Context()) })
	}
	return a
}

// awaitMidway returns when every run is in the middle of its answer, and marks the moment of the blow.
func (a *audience) awaitMidway(t *testing.T, s *harness.System) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if err := s.Model.WaitRequests(ctx, crowd); err != nil {
		t.Fatal(err)
	}
	s.Model.Release(crowd * before)
	select {
	case <-a.midway:
	case <-ctx.Done():
		t.Fatal("the runs did not all begin to stream")
	}
	a.blow.Store(new(time.Now()))
}

// wantTold demands that every run told its whole story, and gives the number of restarts of each.
func (a *audience) wantTold(t *testing.T, x *harness.Tenant) (restarts []int) {
	t.Helper()
	text := words(wordCount)
	for i, f := range a.followers {
		n, err := told(t, f.events, text)
		if a.errs[i] != nil || err != nil {
			t.Errorf("run %s: %v, %v", f.run, a.errs[i], err)
			continue
		}
		restarts = append(restarts, n)
		if r := x.FindRun(t, f.run); r.Status != "completed" || r.Output == nil || *r.Output != text {
			t.Errorf("run %s is %+v", f.run, r)
		}
	}
	return restarts
}

// The tests of this file do not run side by side: a machine that is too busy to carry heartbeats looks
// like a dead worker.

// A worker is killed in the middle of fifty streams. Another one takes all of them over and ends them.
func TestAWorkerIsKilledInTheMiddleOfManyStreams(t *testing.T) {
	s := harness.NewSystem(t, gated())
	url := s.Spawn(t, program, "api").URL
	x := newTenant(t, s, url)
	first := s.Spawn(t, program, "worker")
	a := assemble(t, x, func() string { return url })
	a.awaitMidway(t, s)
	first.Kill()
	s.Model.Release(2 * crowd * wordCount)
	s.Spawn(t, program, "worker")
	a.following.Wait()

	begunAgain := 0
	for i, n := range a.wantTold(t, x) {
		if n == 0 {
			t.Errorf("run %d was not begun again: every one was in the middle of its message", i)
		}
		begunAgain += n
	}
	events := 0
	for _, f := range a.followers {
		events += len(f.events)
		if f.reconnects > 0 {
			t.Errorf("a follower had to connect again %d times although the API lived", f.reconnects)
		}
	}
	slices.Sort(a.recovered)
	last := a.recovered[crowd-1]
	t.Logf("%d runs were killed in their messages, began again %d times and completed; %d events", crowd, begunAgain, events)
	t.Logf("from the kill to the first word of the next attempt: median %s, last %s; all completed after %s",
		a.recovered[crowd/2].Round(time.Millisecond), last.Round(time.Millisecond), time.Since(*a.blow.Load()).Round(time.Millisecond))
	if last > 40*time.Second {
		t.Errorf("the last run stood still for %s", last)
	}
}

// An API is killed under fifty followers. They go on at another one where they were; the runs notice
// nothing.
func TestAnAPIIsKilledUnderItsFollowers(t *testing.T) {
	s := harness.NewSystem(t, gated())
	s.Spawn(t, program, "worker")
	first, second := s.Spawn(t, program, "api"), s.Spawn(t, program, "api")
	x := newTenant(t, s, second.URL)
	var url atomic.Pointer[string]
	url.Store(&first.URL)
	a := assemble(t, x, func() string { return *url.Load() })
	a.awaitMidway(t, s)
	url.Store(&second.URL)
	s.Model.Release(crowd * (wordCount - before) / 2) // the runs go on while nobody listens
	first.Kill()
	s.Model.Release(crowd * wordCount)
	a.following.Wait()

	begunAgain, reconnects := 0, 0
	for _, n := range a.wantTold(t, x) {
		begunAgain += n
	}
	for _, f := range a.followers {
		if f.reconnects == 0 {
			t.Errorf("the follower of run %s did not notice the kill: it came too late", f.run)
		}
		reconnects += f.reconnects
	}
	t.Logf("%d followers went on at another API with %d reconnects; messages begun again: %d",
		crowd, reconnects, begunAgain)
}
