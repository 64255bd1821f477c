package main

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/larirun/lari/internal/platform/dashboards"
	"github.com/larirun/lari/tests/harness"
)

// now is when expressions are evaluated; counters rose evenly from zero in the ten minutes before.
func now() time.Time { return time.UnixMilli(1_800_000_000_000) }

const (
	scrapes     = 40
	scrapeEvery = 15 * time.Second
)

// recorded is what a Prometheus has of two processes: the one that was gathered, and one that did nothing.
type recorded []storage.Series

func record(families []*dto.MetricFamily) (r recorded) {
	for instance, factor := range map[string]float64{"busy": 1, "idle": 0} {
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := []string{"job", "lari", "instance", instance}
				for _, l := range m.GetLabel() {
					name = append(name, l.GetName(), l.GetValue())
				}
				add := func(suffix string, value float64, rises bool, more ...string) {
					all := append(append([]string{model.MetricNameLabel, f.GetName() + suffix}, name...), more...)
					r = append(r, storage.NewListSeries(labels.FromStrings(all...), history(value*factor, rises)))
				}
				switch h := m.GetHistogram(); {
				case h != nil:
					for _, b := range h.GetBucket() {
						add("_bucket", float64(b.GetCumulativeCount()), true, labels.BucketLabel, strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64))
					}
					add("_bucket", float64(h.GetSampleCount()), true, labels.BucketLabel, "+Inf")
					add("_sum", h.GetSampleSum(), true)
					add("_count", float64(h.GetSampleCount()), true)
				case m.GetCounter() != nil:
					add("", m.GetCounter().GetValue(), true)
				case m.GetGauge() != nil:
					add("", m.GetGauge().GetValue(), false)
				}
			}
		}
	}
	return r
}

func history(value float64, rises bool) (points []chunks.Sample) {
	for i := range scrapes + 1 {
		p := point{at: now().Add(time.Duration(i-scrapes) * scrapeEvery).UnixMilli(), value: value}
		if rises {
			p.value *= float64(i) / scrapes
		}
		points = append(points, p)
	}
	return points
}

func (r recorded) queryable() storage.Queryable {
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			s := &found{at: -1}
			for _, series := range r {
				fits := true
				for _, m := range matchers {
					fits = fits && m.Matches(series.Labels().Get(m.Name))
				}
				if fits {
					s.series = append(s.series, series)
				}
			}
			return s
		},
	}}
}

// ask evaluates an expression and gives the numbers of the answer.
func (r recorded) ask(t *testing.T, text string) (numbers []float64) {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e7, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: parser.NewParser(parser.Options{})})
	query, err := engine.NewInstantQuery(t.Context(), r.queryable(), nil, text, now())
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer query.Close()
	result := query.Exec(t.Context())
	vector, err := result.Vector()
	if err != nil || len(result.Warnings) > 0 {
		t.Errorf("%s: %v, warnings %v", text, err, result.Warnings)
	}
	for _, sample := range vector {
		if !math.IsNaN(sample.F) && !math.IsInf(sample.F, 0) {
			numbers = append(numbers, sample.F)
		}
	}
	return numbers
}

// seldom are metrics of what a test does not bring about.
func seldom(promql string) bool {
	for _, name := range []string{
		"lari_runs_held",
		"lari_reconciler_",
		"lari_knowledge_search_duration_seconds",
		"lari_schedule",
	} {
		if strings.Contains(promql, name) {
			return true
		}
	}
	return false
}

// checkFigures: every expression gives figures.
func checkFigures(t *testing.T, r recorded, x *harness.Tenant, expressions []expression) {
	t.Helper()
	fill := strings.NewReplacer("$__rate_interval", "5m", "$tenant", x.ID.String(), "$workspace", ".*", "$namespace", ".*")
	for _, e := range expressions {
		if numbers := r.ask(t, fill.Replace(e.promql)); len(numbers) == 0 && !seldom(e.promql) {
			t.Errorf("%s: nothing is shown by %s", e.where, fill.Replace(e.promql))
		}
	}
}

// checkSame: where both a Prometheus and Lari answer, they say the same. Requests are left out, for asking is one.
func checkSame(t *testing.T, r recorded, x *harness.Tenant) {
	t.Helper()
	compared := 0
	for _, p := range dashboards.Of(x.ID, "5m") {
		for _, q := range p.Queries {
			if q.PromQL == "" || q.Source == nil || q.Source.Rows != "" || p.Group == dashboards.GroupRequests {
				continue
			}
			s := place{Path: q.Source.Path, Parameters: q.Source.Parameters, Value: &q.Source.Value}
			got, err := s.number(s.ask(t, x))
			if err != nil {
				t.Errorf("%s, %s: %v", p.ID, q.ID, err)
				continue
			}
			want := r.ask(t, q.PromQL)
			if len(want) == 1 && partly(q.PromQL) && got > want[0] {
				want[0] = got
			}
			if len(want) != 1 || math.Abs(got-want[0]) > 1e-6*cmp.Or(math.Abs(want[0]), 1) {
				t.Errorf("%s, %s: Lari says %v, Prometheus %v", p.ID, q.ID, got, want)
			}
			compared++
		}
	}
	if compared < 12 {
		t.Errorf("%d figures were compared", compared)
	}
}

// partly tells the metrics that lack what a run used that was stopped within a step: Lari counts it with the run's end.
func partly(promql string) bool {
	return strings.Contains(promql, "lari_model_tokens_total") || strings.Contains(promql, "lari_model_cost_usd_total")
}

// found walks through the series of an answer.
type found struct {
	series []storage.Series
	at     int
}

func (f *found) Next() bool                        { f.at++; return f.at < len(f.series) }
func (f *found) At() storage.Series                { return f.series[f.at] }
func (f *found) Err() error                        { return nil }
func (f *found) Warnings() annotations.Annotations { return nil }

// point is one number that was scraped.
type point struct {
	at    int64
	value float64
}

func (p point) T() int64                      { return p.at }
func (p point) ST() int64                     { return 0 }
func (p point) F() float64                    { return p.value }
func (p point) H() *histogram.Histogram       { return nil }
func (p point) FH() *histogram.FloatHistogram { return nil }
func (p point) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (p point) Copy() chunks.Sample           { return p }
