package analytics_test

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/larirun/lari/internal/analytics"
)

// base is where the histories of the property test begin; the clocks of Berlin change within them.
var base = time.Date(2026, 10, 24, 3, 7, 0, 0, time.UTC)

// history is a tenant with what has happened to it, in the test's own words: what is expected is reckoned from
// these, and never from the database.
type history struct {
	*tenant
	runs []*run
	ends map[uuid.UUID]bool // which have ended
}

func (h *history) some(t *rapid.T, which func(*run) bool) *run {
	var fitting []*run
	for _, r := range h.runs {
		if which(r) {
			fitting = append(fitting, r)
		}
	}
	if len(fitting) == 0 {
		t.Skip("no run for this")
	}
	return fitting[rapid.IntRange(0, len(fitting)-1).Draw(t, "run")]
}

func moment(t *rapid.T, after time.Time) time.Time {
	ms := rapid.OneOf(rapid.Int64Range(0, 1000), rapid.Int64Range(0, 3_600_000), rapid.Int64Range(0, 100_000_000)).Draw(t, "ms")
	return after.Add(time.Duration(ms) * time.Millisecond)
}

func (h *history) create(t *rapid.T) {
	r := &run{id: uuid.New(), agent: h.agents[rapid.IntRange(0, 1).Draw(t, "agent")], created: moment(t, base), status: "queued"}
	if rapid.Bool().Draw(t, "in a workspace") {
		r.workspace = &h.workspace
	}
	if rapid.IntRange(0, 4).Draw(t, "fork") == 0 {
		r.forked = 1
	}
	if err := h.tenant.create(*r); err != nil {
		t.Fatal(err)
	}
	h.runs = append(h.runs, r)
}

func (h *history) start(t *rapid.T) {
	r := h.some(t, func(r *run) bool { return !h.ends[r.id] })
	if r.started.IsZero() {
		r.started = moment(t, r.created)
	}
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		if err := h.tenant.start(*r); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *history) take(t *rapid.T) {
	r := h.some(t, func(r *run) bool { return !r.started.IsZero() && !h.ends[r.id] })
	s := step{
		n: len(r.steps) + 1, at: moment(t, r.started), model: rapid.SampledFrom([]string{"small", "large"}).Draw(t, "model"),
		in: rapid.Int64Range(0, 1e6).Draw(t, "in"), out: rapid.Int64Range(0, 1e6).Draw(t, "out"),
		cost:      decimal.New(rapid.Int64Range(0, 1e12).Draw(t, "cost"), -10).String(),
		estimated: rapid.Bool().Draw(t, "estimated"), partial: rapid.IntRange(0, 3).Draw(t, "partial") == 0,
	}
	s.partial = s.partial && s.n > r.forked
	r.steps = append(r.steps, s)
	times := rapid.IntRange(1, 3).Draw(t, "times") // a step that is recorded again is not counted again
	if s.partial {
		times = 1
	}
	for range times {
		if err := h.tenant.take(*r, s); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *history) end(t *rapid.T) {
	r := h.some(t, func(*run) bool { return true })
	if !h.ends[r.id] {
		r.status = rapid.SampledFrom([]string{"completed", "failed", "cancelled", "timed_out"}).Draw(t, "status")
		if r.started.IsZero() {
			r.status = "cancelled"
		}
		if r.status == "failed" || r.status == "timed_out" {
			r.code = rapid.SampledFrom([]string{"timeout", "model_error"}).Draw(t, "code")
		}
		r.finished = r.created
		for _, s := range r.steps {
			r.finished = later(r.finished, s.at)
		}
		r.finished = moment(t, later(r.finished, r.started))
		h.ends[r.id] = true
	}
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		if err := h.tenant.end(*r); err != nil {
			t.Fatal(err)
		}
		// What is noted of a run after its end is no other end.
		if err := h.exec(`update agent_runs set summary = '{}', end_told = true where id = $1`, r.id); err != nil {
			t.Fatal(err)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// remove takes back a run that never began, as a refused start does.
func (h *history) remove(t *rapid.T) {
	r := h.some(t, func(r *run) bool { return r.started.IsZero() && !h.ends[r.id] })
	if err := h.exec(`delete from agent_runs where id = $1 and status = 'queued'`, r.id); err != nil {
		t.Fatal(err)
	}
	h.runs = slices.DeleteFunc(h.runs, func(o *run) bool { return o == r })
}

// roll lets two rollers at the facts at once.
func (h *history) roll(t *rapid.T) {
	var wait sync.WaitGroup
	var failed [2]error
	for i := range failed {
		wait.Go(func() { failed[i] = h.Roll(h.ctx) })
	}
	wait.Wait()
	for _, err := range failed {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (h *history) rebuild(t *rapid.T) {
	from := moment(t, base.Add(-time.Hour))
	if _, err := h.Rebuild(h.ctx, from, moment(t, from).Add(time.Second)); err != nil {
		t.Fatal(err)
	}
}

// Whatever happens in whatever order, repeated, late, rolled up in between and made anew in part: what is
// answered is what happened.
func TestAnswersAreWhatHappened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var n atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		h := &history{tenant: w.tenant(t, fmt.Sprint("t-", n.Add(1))), ends: map[uuid.UUID]bool{}}
		rt.Repeat(map[string]func(*rapid.T){
			"create": h.create, "start": h.start, "take": h.take, "take more": h.take, "end": h.end, "end another": h.end, "remove": h.remove,
			"roll": h.roll, "rebuild": h.rebuild, "check": h.check,
		})
		h.check(rt)
		h.roll(rt)
		h.check(rt)
		rolled, err := h.Runs(h.ctx, h.question())
		if err != nil {
			rt.Fatal(err)
		}
		if _, err := h.Rebuild(h.ctx, base.Add(-time.Hour), base.Add(120*time.Hour)); err != nil {
			rt.Fatal(err)
		}
		h.check(rt)
		h.roll(rt)
		h.check(rt)
		again, err := h.Runs(h.ctx, h.question())
		if err != nil || !reflect.DeepEqual(rolled, again) {
			rt.Fatalf("made anew the answer is another (error %v)", err)
		}
	})
}

// Many record at once while two rollers and a rebuild are at it: no answer ever has less than the one before, and
// in the end nothing is missing or twice.
func TestNothingIsLostBetweenRollers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.tenant(t, "one")
	now := time.Now().Truncate(time.Millisecond)
	q := analytics.Query{Last: "3h", Bucket: analytics.Total}
	const writers, each = 4, 40
	var writing, others sync.WaitGroup
	var done atomic.Bool
	fail := make(chan error, 100)
	for i := range writers {
		writing.Go(func() {
			for j := range each {
				r := run{
					id: uuid.New(), agent: x.agents[j%2], created: now.Add(-time.Duration(i*j) * time.Second), started: now, finished: now.Add(time.Second), status: "completed",
					steps: []step{{n: 1, at: now, model: "small", in: 10, out: 5, cost: "0.5"}, {n: 2, at: now, model: "large", in: 1, out: 1, cost: "0.1", partial: true}},
				}
				if err := x.whole(r); err != nil {
					fail <- err
					return
				}
			}
		})
	}
	loop := func(do func() error) {
		others.Go(func() {
			for !done.Load() {
				if err := do(); err != nil {
					fail <- err
					return
				}
			}
		})
	}
	loop(func() error { return w.Roll(x.ctx) })
	loop(func() error { return w.Roll(x.ctx) })
	loop(func() error {
		_, err := x.Rebuild(x.ctx, now.Add(-2*time.Hour), now.Add(time.Hour))
		return err
	})
	var last analytics.UsageFigures
	loop(func() error {
		u, err := x.Usage(x.ctx, q)
		if err != nil {
			return err
		}
		if u.Totals.Steps < last.Steps || u.Totals.InputTokens < last.InputTokens {
			return fmt.Errorf("after %+v came %+v", last, u.Totals)
		}
		last = u.Totals
		return nil
	})
	writing.Wait()
	done.Store(true)
	others.Wait()
	close(fail)
	for err := range fail {
		t.Error(err)
	}
	must(t, w.Roll(x.ctx))
	if n := w.pending(t); n != 0 {
		t.Errorf("%d facts are left", n)
	}
	u, err := x.Usage(x.ctx, q)
	must(t, err)
	r, err := x.Runs(x.ctx, q)
	must(t, err)
	const all = writers * each
	if u.Totals.Steps != all || u.Totals.InputTokens != 11*all || u.Totals.CostUSD.String() != "96" || r.Totals.Created != all || r.Totals.Started != all ||
		r.Totals.Completed != all || r.Totals.Duration.Count != all || *r.Totals.Duration.MaxMS != 1000 {
		t.Errorf("%+v\n%+v", u.Totals, r.Totals)
	}
}
