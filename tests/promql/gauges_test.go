package promql_test

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/larirun/lari/internal/platform/telemetry"
)

// scraped is the samples of the histogram of requests of each series, native ones or classic ones by bucket.
type scraped map[string]*scrapedSeries

type scrapedSeries struct {
	name   []string // names and values of labels
	points []chunks.Sample
}

func (s scraped) add(at time.Time, p point, name ...string) {
	key := ""
	for _, part := range name {
		key += part + "\x00"
	}
	if s[key] == nil {
		s[key] = &scrapedSeries{name: name}
	}
	p.at = at.UnixMilli()
	s[key].points = append(s[key].points, p)
}

func (s scraped) stored() (out stored) {
	for _, one := range s {
		out = append(out, series(one.points, one.name...))
	}
	return out
}

// scrape reads the histogram as Prometheus does and gives the gauges beside it, by tenant and quantile.
func scrape(t *testing.T, m *telemetry.Metrics, native bool, into scraped) map[[2]string]float64 {
	t.Helper()
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	gauges := map[[2]string]float64{}
	for _, f := range families {
		for _, one := range f.GetMetric() {
			label := map[string]string{}
			for _, l := range one.GetLabel() {
				label[l.GetName()] = l.GetValue()
			}
			switch f.GetName() {
			case "lari_http_request_duration_quantile_seconds":
				gauges[[2]string{label["tenant_id"], label["quantile"]}] = one.GetGauge().GetValue()
			case "lari_http_request_duration_seconds":
				name := []string{"tenant_id", label["tenant_id"], "route", label["route"]}
				if native {
					into.add(time.Now(), point{histogram: floatHistogram(one.GetHistogram())}, append(name, "__name__", "x")...)
					continue
				}
				for _, b := range one.GetHistogram().GetBucket() {
					into.add(time.Now(), point{value: float64(b.GetCumulativeCount())}, append(name, "__name__", "x_bucket", "le", number(b.GetUpperBound()))...)
				}
				into.add(time.Now(), point{value: float64(one.GetHistogram().GetSampleCount())}, append(name, "__name__", "x_bucket", "le", "+Inf")...)
			}
		}
	}
	return gauges
}

func floatHistogram(h *dto.Histogram) *histogram.FloatHistogram {
	whole := histogram.Histogram{
		Schema: h.GetSchema(), ZeroThreshold: h.GetZeroThreshold(), ZeroCount: h.GetZeroCount(), Count: h.GetSampleCount(), Sum: h.GetSampleSum(),
		PositiveBuckets: h.GetPositiveDelta(), NegativeBuckets: h.GetNegativeDelta(),
	}
	for _, s := range h.GetPositiveSpan() {
		whole.PositiveSpans = append(whole.PositiveSpans, histogram.Span{Offset: s.GetOffset(), Length: s.GetLength()})
	}
	return whole.ToFloat(nil)
}

// TestGaugesAreTheEngines: the gauges that the process exports are what Prometheus' engine makes of the histograms beside
// them, through many windows, with classic and with native buckets that become coarser on the way.
func TestGaugesAreTheEngines(t *testing.T) {
	const window, step = time.Minute, 3 * time.Second // the histograms are read twenty times a window
	for _, native := range []bool{false, true} {
		t.Run("native "+strconv.FormatBool(native), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng, engine, seen := drawn(t), newEngine(), scraped{}
				m := telemetry.New(telemetry.Options{Native: native, Window: window})
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				go m.RunWindow(ctx)
				tenants, routes := []string{"acme", "globex", "initech"}, []string{"/v1/runs", "/v1/threads"}
				observe := func(wide float64) {
					for _, tenant := range tenants {
						for _, route := range routes {
							for range rng.IntN(20) {
								m.HTTP.Observe(tenant, route, http.MethodGet, http.StatusOK, time.Duration(rng.ExpFloat64()*wide*float64(time.Second)))
							}
						}
					}
				}
				for _, tenant := range tenants {
					for _, route := range routes {
						m.HTTP.Observe(tenant, route, http.MethodGet, http.StatusOK, time.Millisecond)
					}
				}
				compared, schemas := 0, map[int32]bool{}
				for tick := range 100 {
					time.Sleep(step)
					synctest.Wait() // the reading of this moment is taken
					gauges := scrape(t, m, native, seen)
					if tick > 20 {
						compared += compareGauges(t, engine, seen.stored(), gauges, native, time.Now())
					}
					for _, one := range seen {
						if h := one.points[len(one.points)-1].FH(); h != nil {
							schemas[h.Schema] = true
						}
					}
					time.Sleep(time.Second)
					if tick%10 < 8 {
						observe([]float64{.01, 1e-9, 100}[rng.IntN(3)])
					}
					time.Sleep(2 * time.Second) // so that the next tick is a reading's again
				}
				if native && len(schemas) < 2 {
					t.Error("no histogram became coarser")
				}
				if compared < 500 {
					t.Errorf("%d gauges were compared", compared)
				}
			})
		})
	}
}

// compareGauges asks the engine for what was counted in the last minute and gives how many gauges it compared.
func compareGauges(t *testing.T, engine *promql.Engine, s stored, gauges map[[2]string]float64, native bool, now time.Time) int {
	t.Helper()
	expression := "sum by (tenant_id, le) (x_bucket) - sum by (tenant_id, le) (x_bucket offset 1m)"
	if native {
		expression = "sum by (tenant_id) (x) - sum by (tenant_id) (x offset 1m)"
	}
	compared := 0
	for _, q := range []string{"0.5", "0.95", "0.99"} {
		query, err := engine.NewInstantQuery(t.Context(), s.queryable(), nil, "histogram_quantile("+q+", "+expression+")", now)
		if err != nil {
			t.Fatal(err)
		}
		vector, err := query.Exec(t.Context()).Vector()
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range vector {
			tenant := sample.Metric.Get("tenant_id")
			got, found := gauges[[2]string{tenant, q}]
			if found == math.IsNaN(sample.F) || found && !same(got, sample.F) {
				t.Errorf("%s, %s of %s: the gauge is %v (%t), the engine says %v", now, q, tenant, got, found, sample.F)
			}
			compared++
		}
		query.Close()
	}
	return compared
}
