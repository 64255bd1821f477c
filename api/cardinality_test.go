package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/tests/cputime"
)

const (
	crowd        = 5000    // tenants that use every route and run everything
	mostSeries   = 150_000 // that the scrape of a process may have
	scrapeTarget = 250 * time.Millisecond
)

// TestSeriesAreBounded has a crowd of tenants use every route of the real table, with statuses of all
// classes, and everything else that carries a tenant.
func TestSeriesAreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	m := telemetry.New(telemetry.Options{Now: func() time.Time { return now }})
	meterCrowd(m)
	scrape := func(accept string) ([]byte, time.Duration) {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
		request.Header.Set("Accept", accept)
		recorder := httptest.NewRecorder()
		now = now.Add(2 * time.Second) // the quantiles are computed anew
		began := cputime.Used(t)
		m.Handler().ServeHTTP(recorder, request)
		return recorder.Body.Bytes(), cputime.Used(t) - began
	}
	for _, accept := range []string{"text/plain", "application/openmetrics-text; version=1.0.0"} {
		page, took := scrape(accept)
		for range 4 { // the collector of garbage may be at work for what was before
			_, again := scrape(accept)
			took = min(took, again)
		}
		series := 0
		tenants := map[string]bool{}
		for line := range strings.Lines(string(page)) {
			if !strings.HasPrefix(line, "#") {
				series++
				if _, rest, found := strings.Cut(line, `tenant_id="`); found {
					id, _, _ := strings.Cut(rest, `"`)
					tenants[id] = true
				}
			}
		}
		t.Logf("%s: %d series of %d tenants, %d kB, %s of the processor", accept, series, len(tenants), len(page)>>10, took)
		if series > mostSeries {
			t.Errorf("%d series, at most %d are wanted", series, mostSeries)
		}
		if len(tenants) != 1001 {
			t.Errorf("%d tenants have labels, want 1000 and _other", len(tenants))
		}
		if took > scrapeTarget && !raced {
			t.Errorf("a scrape takes %s, at most %s is wanted", took, scrapeTarget)
		}
	}
}

func meterCrowd(m *telemetry.Metrics) {
	table, statuses := withHealth(allRoutes()), []int{200, 404, 422, 500}
	for i := range crowd {
		tenant := fmt.Sprintf("0190a0b0-0000-7000-8000-%012d", i)
		for range 20 { // active enough for a label
			m.HTTP.Observe(tenant, "/v1/runs", http.MethodGet, http.StatusOK, time.Millisecond)
		}
		for _, status := range []string{"completed", "failed", "cancelled", "timed_out"} {
			m.Runs.Started(tenant, "run", time.Second)
			m.Runs.FirstToken(tenant, "run", time.Second)
			m.Runs.Finished(tenant, status, "run", time.Second)
			m.Runs.Stopped(tenant, "run", time.Second)
		}
		m.Model.Spent(tenant, "openai", "gpt-4.1-mini", 1, 1, 0.1)
		m.Model.Spent(tenant, "anthropic", "claude-sonnet-5", 1, 1, 0.1)
		for r := range table {
			m.HTTP.Observe(tenant, table[r].Path, table[r].Method, statuses[(i+r)%len(statuses)], time.Duration(r*i)*time.Microsecond)
		}
	}
}

// BenchmarkMeter meters a request, for the routes, tenants and statuses that have series and for those that have not.
func BenchmarkMeter(b *testing.B) {
	m := telemetry.New(telemetry.Options{})
	meterCrowd(m)
	for name, tenant := range map[string]string{
		"Labelled": "0190a0b0-0000-7000-8000-000000000000", "Coarse": "0190a0b0-0000-7000-8000-000000000700", "Other": "0190a0b0-0000-7000-8000-000000004999",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					m.HTTP.Begin()
					m.HTTP.Observe(tenant, "/v1/runs/{run_id}", http.MethodGet, http.StatusOK, 3*time.Millisecond)
					m.HTTP.End()
				}
			})
		})
	}
}

// BenchmarkScrape is a scrape of such a crowd, with the quantiles computed anew.
func BenchmarkScrape(b *testing.B) {
	now := time.Unix(1e9, 0)
	m := telemetry.New(telemetry.Options{Now: func() time.Time { return now }})
	meterCrowd(m)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(2 * time.Second)
		m.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", http.NoBody))
	}
}
