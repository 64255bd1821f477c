package analytics_test

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/larirun/lari/internal/analytics"
)

// spot is where the test expects figures: the hour, agent and workspace; and the model of usage.
type spot struct {
	hour             time.Time
	agent, workspace uuid.UUID
	model            string
}

func (r *run) spot(at time.Time, model string) spot {
	s := spot{hour: at.Truncate(time.Hour), agent: r.agent, model: model}
	if r.workspace != nil {
		s.workspace = *r.workspace
	}
	return s
}

func (h *history) question() analytics.Query {
	from, to := base.Add(-time.Hour), base.Add(120*time.Hour)
	return analytics.Query{From: &from, To: &to, Bucket: analytics.Hour, GroupBy: []analytics.Dimension{analytics.ByAgent, analytics.ByWorkspace}}
}

// check compares what the service says with what happened.
func (h *history) check(t *rapid.T) {
	h.checkUsage(t)
	h.checkRuns(t)
}

func (h *history) checkUsage(t *rapid.T) {
	want := map[spot]analytics.UsageFigures{}
	add := func(at spot, in, out int64, cost decimal.Decimal, steps, estimated int64) {
		f := want[at]
		f.Steps, f.EstimatedSteps, f.InputTokens, f.OutputTokens, f.CostUSD = f.Steps+steps, f.EstimatedSteps+estimated, f.InputTokens+in, f.OutputTokens+out, f.CostUSD.Add(cost)
		want[at] = f
	}
	for _, r := range h.runs {
		model := ""
		for _, s := range r.steps {
			if !s.partial && s.n > r.forked {
				model = max(model, s.model)
			}
		}
		for _, s := range r.steps {
			cost, err := decimal.NewFromString(s.cost)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case s.n <= r.forked: // another run's
			case !s.partial:
				estimated := int64(0)
				if s.estimated {
					estimated = 1
				}
				add(r.spot(s.at, s.model), s.in, s.out, cost, 1, estimated)
			case h.ends[r.id]: // what no step was recorded for comes with the end
				add(r.spot(r.finished, model), s.in, s.out, cost, 0, 0)
			}
		}
	}
	q := h.question()
	q.GroupBy = append(q.GroupBy, analytics.ByModel)
	got, err := h.Usage(h.ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	var total analytics.UsageFigures
	for _, row := range got.Rows {
		at := spotOf(row.Cell)
		w := want[at]
		delete(want, at)
		if !w.CostUSD.Equal(row.CostUSD) {
			t.Fatalf("%v: cost %v, want %v", at, row.CostUSD, w.CostUSD)
		}
		total.Steps, total.InputTokens = total.Steps+row.Steps, total.InputTokens+row.InputTokens
		if w.CostUSD = row.CostUSD; w != row.UsageFigures {
			t.Fatalf("%v: %+v, want %+v", at, row.UsageFigures, w)
		}
	}
	for at, w := range want {
		if w.Steps != 0 || w.InputTokens != 0 || w.OutputTokens != 0 || !w.CostUSD.IsZero() {
			t.Fatalf("%v is missing: %+v", at, w)
		}
	}
	if total.Steps != got.Totals.Steps || total.InputTokens != got.Totals.InputTokens {
		t.Fatalf("totals %+v, rows make %+v", got.Totals, total)
	}
}

func spotOf(c analytics.Cell) spot {
	s := spot{hour: c.Start.Time}
	if c.AgentID != nil {
		s.agent = *c.AgentID
	}
	if c.WorkspaceID != nil {
		s.workspace = *c.WorkspaceID
	}
	if c.Model != nil {
		s.model = *c.Model
	}
	return s
}

// expected is what is known of the runs in a spot.
type expected struct {
	figures         analytics.RunFigures
	errors          map[string]int64
	waits, duration []int64
}

func (h *history) checkRuns(t *rapid.T) {
	want := map[spot]*expected{}
	at := func(s spot) *expected {
		if want[s] == nil {
			want[s] = &expected{errors: map[string]int64{}}
		}
		return want[s]
	}
	for _, r := range h.runs {
		at(r.spot(r.created, "")).figures.Created++
		if !r.started.IsZero() {
			e := at(r.spot(r.started, ""))
			e.figures.Started++
			e.waits = append(e.waits, r.started.Sub(r.created).Milliseconds())
		}
		if !h.ends[r.id] {
			continue
		}
		e := at(r.spot(r.finished, ""))
		e.figures.Finished++
		*map[string]*int64{
			"completed": &e.figures.Completed, "failed": &e.figures.Failed, "cancelled": &e.figures.Cancelled, "timed_out": &e.figures.TimedOut,
		}[r.status]++
		if r.code != "" {
			e.errors[r.code]++
		}
		if !r.started.IsZero() {
			e.duration = append(e.duration, r.finished.Sub(r.started).Milliseconds())
		}
	}
	got, err := h.Runs(h.ctx, h.question())
	if err != nil {
		t.Fatal(err)
	}
	none := &expected{}
	for _, row := range got.Rows {
		s := spotOf(row.Cell)
		e := want[s]
		if e == nil {
			e = none
		}
		delete(want, s)
		f := row.RunFigures
		f.Duration, f.QueueWait, f.Errors, f.ErrorRate = analytics.Timing{}, analytics.Timing{}, nil, nil
		if !reflect.DeepEqual(f, e.figures) {
			t.Fatalf("%v: %+v, want %+v", s, f, e.figures)
		}
		errors := map[string]int64{}
		for _, c := range row.Errors {
			errors[c.Code] = c.Count
		}
		if fmt.Sprint(errors) != fmt.Sprint(e.errors) {
			t.Fatalf("%v: errors %v, want %v", s, errors, e.errors)
		}
		checkTiming(t, row.QueueWait, e.waits)
		checkTiming(t, row.Duration, e.duration)
	}
	if len(want) > 0 {
		t.Fatalf("%d spots are missing", len(want))
	}
}

// checkTiming demands exact averages and maxima, and quantiles that lie in the bucket of the true one.
func checkTiming(t *rapid.T, got analytics.Timing, times []int64) {
	if int(got.Count) != len(times) {
		t.Fatalf("%d were measured, want %d", got.Count, len(times))
	}
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	var sum int64
	for _, ms := range times {
		sum += ms
	}
	n := int64(len(times))
	if *got.AvgMS != (sum+n/2)/n || *got.MaxMS != times[n-1] {
		t.Fatalf("average %d, longest %d of %v", *got.AvgMS, *got.MaxMS, times)
	}
	for q, ms := range map[float64]int64{0.5: *got.P50MS, 0.95: *got.P95MS, 0.99: *got.P99MS} {
		exact := times[max(int(q*float64(n)+0.999999)-1, 0)]
		if float64(ms) > max(2*float64(exact), 16) || float64(ms) < float64(exact)/2-8 || ms > *got.MaxMS {
			t.Fatalf("the quantile %v is %d, of %v", q, ms, times)
		}
	}
}
