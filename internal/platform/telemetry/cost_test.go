package telemetry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/larirun/lari/tests/cputime"
)

// crowd is 5,000 tenants that use 93 routes each, with statuses of all classes, and run everything.
func crowd(m *Metrics) {
	statuses := []int{200, 404, 422, 500}
	for i := range 5000 {
		tenant := fmt.Sprintf("0190a0b0-0000-7000-8000-%012d", i)
		for range 20 { // active enough for a label
			m.HTTP.Observe(tenant, "/v1/runs", http.MethodGet, http.StatusOK, time.Millisecond)
		}
		for _, status := range []string{"completed", "failed", "cancelled", "timed_out"} {
			m.Runs.Started(tenant, "run", time.Second)
			m.Runs.FirstToken(tenant, "run", time.Second)
			m.Runs.Finished(tenant, status, "run", time.Duration(i)*time.Millisecond)
			m.Runs.Stopped(tenant, "run", time.Second)
		}
		m.Model.Spent(tenant, "openai", "gpt-4.1-mini", 1, 1, 0.1)
		for r := range 93 {
			m.HTTP.Observe(tenant, fmt.Sprint("/v1/route-", r), http.MethodGet, statuses[(i+r)%len(statuses)], time.Duration(r*i)*time.Microsecond)
		}
	}
}

// observeAll has every series that there is observe something, spread over its buckets.
func observeAll(m *Metrics, tick int) {
	i := tick
	spread := func() time.Duration {
		i++
		return time.Duration(1+i%1000) * time.Duration(1+i%7) * 300 * time.Microsecond
	}
	m.HTTP.duration.each(func(_ httpKey, o prometheus.Observer) { o.Observe(spread().Seconds()) })
	m.Runs.duration.each(func(_ outcomeKey, o prometheus.Observer) { o.Observe(spread().Seconds()) })
	m.Runs.wait.each(func(_ string, o prometheus.Observer) { o.Observe(spread().Seconds()) })
	m.Runs.firstToken.each(func(_ string, o prometheus.Observer) { o.Observe(spread().Seconds()) })
}

func heap() float64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc)
}

// BenchmarkTuning is what the settings cost, for docs/tuning.md: series and text of a scrape, its time of the processor
// with the quantiles computed anew, memory of the metrics and of a window in which every series is busy, and the time of
// one observation.
func BenchmarkTuning(b *testing.B) {
	wide := make([]float64, 40)
	for i := range wide {
		wide[i] = float64(i+1) / 10
	}
	few, many := 100, 10_000
	for _, c := range []struct {
		name string
		o    Options
	}{
		{"Default", Options{}},
		{"Buckets5", Options{Buckets: Buckets{HTTP: wide[:5]}}},
		{"Buckets40", Options{Buckets: Buckets{HTTP: wide}}},
		{"Tenants100", Options{MaxTenants: few}},
		{"Series20000", Options{MaxSeries: 20_000}},
		{"Series300000", Options{MaxSeries: 300_000, MaxTenants: many / 2}},
		{"Native", Options{Native: true}},
		{"NativeFactor1.5", Options{Native: true, NativeFactor: 1.5}},
		{"NativeFactor1.02", Options{Native: true, NativeFactor: 1.02, NativeBuckets: 1000}},
		{"Window1m", Options{Window: time.Minute}},
		{"Window1h", Options{Window: time.Hour}},
	} {
		b.Run(c.name, func(b *testing.B) {
			now := time.Unix(1e9, 0)
			c.o.Now = func() time.Time { return now }
			empty := heap()
			m := New(c.o)
			crowd(m)
			filled := heap()
			for tick := range ticks + 2 {
				observeAll(m, tick*1000)
				now = now.Add(m.window.step())
				m.window.read()
			}
			windowed := heap()
			page := httptest.NewRecorder()
			scrape := func() {
				now = now.Add(2 * time.Second)
				page = httptest.NewRecorder()
				m.Handler().ServeHTTP(page, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", http.NoBody))
			}
			scrape()
			took := time.Hour
			for range 7 {
				began := cputime.Used(b)
				scrape()
				took = min(took, cputime.Used(b)-began)
			}
			series := 0
			for line := range strings.Lines(page.Body.String()) {
				if strings.HasPrefix(line, "lari_") {
					series++
				}
			}
			b.ResetTimer()
			for b.Loop() {
				m.HTTP.Observe("0190a0b0-0000-7000-8000-000000000000", "/v1/runs", http.MethodGet, http.StatusOK, 3*time.Millisecond)
			}
			b.ReportMetric(float64(series), "series")
			b.ReportMetric(float64(page.Body.Len())/1e6, "MB/scrape")
			b.ReportMetric(float64(took.Microseconds())/1000, "ms/scrape")
			b.ReportMetric((filled-empty)/1e6, "MB")
			b.ReportMetric((windowed-filled)/1e6, "MB/window")
			runtime.KeepAlive(m)
		})
	}
}
