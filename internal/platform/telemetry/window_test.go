package telemetry

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
)

func observeTimes(m *Metrics, tenant string, n int, took time.Duration) {
	for range n {
		m.HTTP.Observe(tenant, "/v1/runs", http.MethodGet, http.StatusOK, took)
	}
}

// gauge gives the value of a tenant's quantile; false: it is not exported.
func gauge(t *testing.T, m *Metrics, name, tenant, quantile string) (float64, bool) {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, metric := range f.GetMetric() {
			if labelOf(metric, "tenant_id") == tenant && labelOf(metric, "quantile") == quantile {
				return metric.GetGauge().GetValue(), true
			}
		}
	}
	return 0, false
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// Requests of the last minutes count, older ones do not, and what nobody asked for is absent.
func TestQuantilesSlide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{Window: time.Minute})
		go m.RunWindow(t.Context())
		const name = "lari_http_request_duration_quantile_seconds"
		want := func(when, tenant, q string, want float64) {
			t.Helper()
			if got, _ := gauge(t, m, name, tenant, q); math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: the %s quantile of %s is %v, want %v", when, q, tenant, got, want)
			}
		}
		if _, found := gauge(t, m, name, "acme", "0.5"); found {
			t.Error("a quantile of nothing")
		}
		time.Sleep(2 * time.Second)
		observeTimes(m, "acme", 100, 30*time.Millisecond) // in (0.025, 0.05]
		want("at once", "acme", "0.5", .0375)
		want("at once", "acme", "0.99", .025+.025*.99)
		time.Sleep(30 * time.Second)
		observeTimes(m, "acme", 100, 200*time.Millisecond) // in (0.1, 0.25]
		observeTimes(m, "globex", 1, time.Minute)          // above the last bound
		time.Sleep(2 * time.Second)
		want("both", "acme", "0.5", .05)
		want("both", "acme", "0.95", .1+.15*.9)
		want("+Inf", "globex", "0.5", 10)
		time.Sleep(31 * time.Second) // the first ones are older than a minute
		want("later", "acme", "0.5", .175)
		time.Sleep(2 * time.Minute)
		if v, found := gauge(t, m, name, "acme", "0.5"); found {
			t.Errorf("requests that are long past give %v", v)
		}
		observeTimes(m, "acme", 1, 2*time.Millisecond) // idle in between
		time.Sleep(2 * time.Second)
		want("after a pause", "acme", "0.5", .00175)
	})
}

func TestQuantilesOfRuns(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	for range 10 {
		m.Runs.Started("acme", "run-1", 20*time.Millisecond)
		m.Runs.FirstToken("acme", "run-1", 600*time.Millisecond)
		m.Runs.Finished("acme", "completed", "run-1", 2*time.Second)
		m.Runs.Finished("acme", "failed", "run-1", 2*time.Second)
	}
	m.Runs.Finished("acme", "failed", "run-1", 24*time.Hour) // an exemplar makes the bucket +Inf explicit
	for name, want := range map[string]float64{
		"lari_run_queue_wait_quantile_seconds":          .0175,
		"lari_run_time_to_first_token_quantile_seconds": .75,
		"lari_run_duration_quantile_seconds":            1 + 1.5*10.5/20,
	} {
		if got, _ := gauge(t, m, name, "acme", "0.5"); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// What is idle is remembered once, and what is busy no longer than the window.
func TestWindowsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	m := New(Options{Window: time.Minute, Now: func() time.Time { return now }})
	observeTimes(m, "idle", 1, time.Millisecond)
	for i := range 200 {
		observeTimes(m, "busy", 1, time.Millisecond)
		now = now.Add(m.window.step())
		m.window.read()
		for key, h := range m.window.http.series {
			if key.tenant == "busy" && len(h) > ticks+2 || key.tenant == "idle" && len(h) > 2 {
				t.Fatalf("%s has %d readings after %d ticks", key.tenant, len(h), i)
			}
		}
	}
}

// Readers and writers meet.
func TestWindowsAreReadWhileWritten(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 500 {
			observeTimes(m, fmt.Sprint("tenant-", i%50), 3, time.Duration(i)*time.Millisecond)
		}
	}()
	for range 20 {
		m.window.read()
		for _, metric := range m.quantiles.compute() {
			var out dto.Metric
			if err := metric.Write(&out); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-done
}

// Native histograms stand beside the classic buckets, and the quantiles are of them then: a tenth of a bucket is closer
// than a bucket.
func TestNativeHistograms(t *testing.T) {
	t.Parallel()
	for _, native := range []bool{false, true} {
		now := time.Unix(1e9, 0)
		m := New(Options{Native: native, Now: func() time.Time { return now }})
		for i := range 1000 {
			m.HTTP.Observe("acme", "/v1/runs", http.MethodGet, http.StatusOK, time.Duration(i)*time.Millisecond)
			m.Runs.Finished("acme", "completed", "run-1", time.Duration(i)*time.Second)
		}
		for _, name := range []string{"lari_http_request_duration_seconds", "lari_run_duration_seconds"} {
			h := family(t, m, name).GetMetric()[0].GetHistogram()
			if n := len(h.GetPositiveSpan()); n > 0 != native || len(h.GetBucket()) < 13 || len(h.GetPositiveDelta()) > 100 {
				t.Errorf("%s, native %t: %d spans, %d buckets, %d classic ones", name, native, n, len(h.GetPositiveDelta()), len(h.GetBucket()))
			}
		}
		if got, found := gauge(t, m, "lari_http_request_duration_quantile_seconds", "acme", "0.5"); !found || math.Abs(got-.5) > .01 {
			t.Errorf("native %t: the median is %v", native, got)
		}
		for range 9000 {
			m.HTTP.Observe("globex", "/v1/runs", http.MethodGet, http.StatusOK, 1100*time.Millisecond) // far from the bounds 1 and 2.5
		}
		now = now.Add(2 * time.Second) // computed anew
		got, _ := gauge(t, m, "lari_http_request_duration_quantile_seconds", "globex", "0.99")
		if off := math.Abs(got-1.1) / 1.1; (off < .1) != native {
			t.Errorf("native %t: the last percentile is %v", native, got)
		}
		if r := m.Report("globex"); math.Abs(*r.HTTP.P99-got) > 1e-9 || r.HTTP.Count != 9000 || len(r.Routes) != 1 {
			t.Errorf("native %t: the report has %+v", native, r.HTTP)
		}
	}
}
