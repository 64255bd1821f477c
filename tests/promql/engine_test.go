package promql_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

func newEngine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: parser.NewParser(parser.Options{}),
	})
}

// stored is series that a query finds whatever it asks for.
type stored []storage.Series

func (s stored) queryable() storage.Queryable {
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
			return &found{series: s, at: -1}
		},
	}}
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

// ask evaluates an expression at a time; false: the answer is empty.
func ask(t *testing.T, engine *promql.Engine, s stored, expression string, at time.Time) (float64, bool) {
	t.Helper()
	query, err := engine.NewInstantQuery(context.Background(), s.queryable(), nil, expression, at)
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	vector, err := query.Exec(context.Background()).Vector()
	if err != nil {
		t.Fatal(err)
	}
	if len(vector) == 0 {
		return 0, false
	}
	if len(vector) > 1 {
		t.Fatalf("%s gives %v", expression, vector)
	}
	return vector[0].F, true
}

// point is a sample of a counter, or a native histogram.
type point struct {
	at        int64
	value     float64
	histogram *histogram.FloatHistogram
}

func (p point) T() int64                      { return p.at }
func (p point) ST() int64                     { return 0 }
func (p point) F() float64                    { return p.value }
func (p point) H() *histogram.Histogram       { return nil }
func (p point) FH() *histogram.FloatHistogram { return p.histogram }
func (p point) Copy() chunks.Sample           { return p }

func (p point) Type() chunkenc.ValueType {
	if p.histogram != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

func series(points []chunks.Sample, name ...string) storage.Series {
	return storage.NewListSeries(labels.FromStrings(name...), points)
}

// bounds draws upper bounds in order, the last is not +Inf; some are negative, some repeat.
func bounds(rng *rand.Rand) []float64 {
	out := make([]float64, rng.IntN(14))
	shift := 0.0
	if rng.IntN(3) == 0 {
		shift = rng.Float64() * 20
	}
	for i := range out {
		out[i] = rng.ExpFloat64()*10 - shift
	}
	if len(out) > 0 && rng.IntN(10) == 0 {
		out[rng.IntN(len(out))] = 0
	}
	slices.Sort(out)
	return slices.Compact(out)
}
