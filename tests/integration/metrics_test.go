package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

type quantiles struct {
	Process       string  `json:"process"`
	WindowSeconds float64 `json:"window_seconds"`
	Labelled      bool    `json:"labelled"`
	HTTP          timing  `json:"http"`
	Routes        []struct {
		Route  string `json:"route"`
		Method string `json:"method"`
		timing
	} `json:"routes"`
	Runs timing `json:"runs"`
}

type timing struct {
	Count float64  `json:"count"`
	P50   *float64 `json:"p50_seconds"`
	P99   *float64 `json:"p99_seconds"`
	Error *float64 `json:"error_share"`
}

// Two tenants run something: each sees its own series and quantiles, and the platform those of both.
func TestMetricsAreOfTheTenant(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{Default: says("Hello there.")})
	p := s.Start(t, harness.All)
	one, two := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	for _, x := range []*harness.Tenant{one, two} {
		for range 3 {
			wholeLog(t, x, x.StartRun(t, map[string]any{"input": "hello"}).ID)
		}
	}
	scrape := func(x *harness.Tenant) string {
		a := x.Do(t, "GET", "/v1/analytics/prometheus", nil)
		a.Want(t, 200)
		return string(a.Body)
	}
	started := `lari_runs_started_total{tenant_id="` + one.ID.String() + `"} 3`
	var page string
	var q quantiles
	// What runs report is counted beside them, and a scrape is up to a second old.
	harness.Eventually(t, 20*time.Second, "six runs are counted", func() bool {
		page = scrape(one)
		two.Do(t, "GET", "/v1/metrics/quantiles", nil).Want(t, 200, &q)
		return q.Runs.Count == 3 && strings.Contains(page, started)
	})
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "#") && !strings.Contains(line, `tenant_id="`+one.ID.String()+`"`) {
			t.Errorf("a foreign series: %s", line)
		}
	}
	for _, want := range []string{
		`lari_run_duration_seconds_bucket{status="completed",tenant_id="`,
		`lari_run_duration_quantile_seconds{quantile="0.95",tenant_id="`,
		`lari_http_request_duration_quantile_seconds{quantile="0.99",tenant_id="`,
		`lari_run_queue_wait_quantile_seconds{quantile="0.5",tenant_id="`,
		`lari_run_time_to_first_token_quantile_seconds{quantile="0.5",tenant_id="`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("there is no %s in\n%s", want, page)
		}
	}
	if q.Process == "" || !q.Labelled || q.WindowSeconds <= 0 || q.Runs.P99 == nil || *q.Runs.Error != 0 || q.HTTP.Count < 3 || q.HTTP.P50 == nil || len(q.Routes) < 2 {
		t.Errorf("the quantiles are %+v", q)
	}
	platform := *one
	platform.Token = harness.Token(t, one.ID, auth.RoleService)
	for _, want := range []string{one.ID.String(), two.ID.String(), "lari_deliveries_pending 0", "\ntemporal_", "\ngo_goroutines"} {
		if page := scrape(&platform); !strings.Contains(page, want) {
			t.Errorf("the platform does not see %s", strings.TrimSpace(want))
		}
	}
}
