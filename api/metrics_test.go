package api

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/telemetry"
)

// metered is a server whose metrics know its tenant and another one.
func metered(t *testing.T, public bool) (r *rig, metrics *telemetry.Metrics, other string) {
	t.Helper()
	metrics, other = telemetry.New(telemetry.Options{}), uuid.NewString()
	r = start(t, MetricsRoutes(metrics, "host:1", public), func(d *Deps) { d.Observe = metrics.HTTP.Observe })
	for _, tenant := range []string{r.tenant.String(), other} {
		for range 10 {
			metrics.HTTP.Observe(tenant, "/v1/runs", "GET", 200, 30*time.Millisecond)
			metrics.HTTP.Observe(tenant, "/v1/runs", "POST", 503, 200*time.Millisecond)
			metrics.Runs.Started(tenant, "run-of-"+tenant, 20*time.Millisecond)
			metrics.Runs.Finished(tenant, "completed", "run-of-"+tenant, 2*time.Second)
		}
		metrics.Runs.Finished(tenant, "failed", "run-of-"+tenant, 2*time.Second)
		metrics.Model.Spent(tenant, "openai", "gpt", 1, 1, 1)
		metrics.Runs.Activate(telemetry.ActiveRun{Tenant: tenant, ID: "active-of-" + tenant})
	}
	metrics.Model.Answered("openai", "gpt", "run-of-"+other, time.Second)
	return r, metrics, other
}

const prometheusPath = "/v1/analytics/prometheus"

func samples(page string) (lines []string) {
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// A tenant sees its own series, all of them, and nothing else, in either form.
func TestTenantsSeeTheirOwnSeries(t *testing.T) {
	t.Parallel()
	r, _, other := metered(t, false)
	for _, accept := range []string{"", "text/plain", "application/openmetrics-text; version=1.0.0", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", "nonsense/;;"} {
		a := r.do(t, request{method: "GET", path: prometheusPath, role: auth.RoleViewer, header: map[string]string{"Accept": accept}})
		if a.status != 200 {
			t.Fatalf("%s: %d %s", accept, a.status, a.body)
		}
		open := strings.Contains(accept, "openmetrics")
		if kind := a.header.Get("Content-Type"); strings.HasPrefix(kind, "application/openmetrics-text") != open || strings.HasPrefix(kind, "text/plain; version=0.0.4") == open {
			t.Errorf("%s is answered with %s", accept, kind)
		}
		if strings.HasSuffix(a.body, "# EOF\n") != open || strings.Contains(a.body, `# {run_id="run-of-`+r.tenant.String()) != open {
			t.Errorf("%s: no OpenMetrics, or without exemplars:\n%s", accept, a.body)
		}
		if strings.Contains(a.body, other) {
			t.Errorf("%s: another tenant is seen", accept)
		}
		for _, line := range samples(a.body) {
			if !strings.Contains(line, `tenant_id="`+r.tenant.String()+`"`) {
				t.Errorf("%s: a series that is not the tenant's: %s", accept, line)
			}
		}
		for _, name := range []string{
			"lari_http_request_duration_seconds_bucket", "lari_http_request_duration_quantile_seconds", "lari_runs_started_total", "lari_run_duration_seconds_sum",
			"lari_run_duration_quantile_seconds", "lari_model_cost_usd_total", "lari_runs_active",
		} {
			if !strings.Contains(a.body, "\n"+name+"{") {
				t.Errorf("%s: there is no %s", accept, name)
			}
		}
	}
}

func TestThePlatformSeesAllSeries(t *testing.T) {
	t.Parallel()
	r, _, other := metered(t, false)
	a := r.do(t, request{method: "GET", path: prometheusPath, role: auth.RoleService})
	for _, want := range []string{r.tenant.String(), other, "\ngo_goroutines ", "\nlari_model_call_duration_seconds_count"} {
		if a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("%d, without %s", a.status, want)
		}
	}
}

func TestWhoMaySeeTheExposition(t *testing.T) {
	t.Parallel()
	closed, _, _ := metered(t, false)
	open, _, other := metered(t, true)
	for _, c := range []struct {
		name   string
		r      *rig
		path   string
		role   auth.Role
		status int
	}{
		{"nobody", closed, prometheusPath, "", 401},
		{"a viewer", closed, prometheusPath, auth.RoleViewer, 200},
		{"nobody, in public", open, prometheusPath, "", 200},
		{"nobody, of the quantiles, in public", open, "/v1/metrics/quantiles", "", 401},
	} {
		a := c.r.do(t, request{method: "GET", path: c.path, role: c.role})
		if a.status != c.status {
			t.Errorf("%s: %d, want %d", c.name, a.status, c.status)
		}
	}
	if a := open.do(t, request{method: "GET", path: prometheusPath}); !strings.Contains(a.body, other) {
		t.Error("in public not everything is seen")
	}
}

func TestQuantilesAreOfTheTenant(t *testing.T) {
	t.Parallel()
	r, _, _ := metered(t, false)
	a := r.do(t, request{method: "GET", path: "/v1/metrics/quantiles", role: auth.RoleViewer})
	var v quantilesView
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.status != 200 {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	near := func(what string, got *float64, want float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	if v.Process != "host:1" || !v.Labelled || v.HTTP.Count != 20 || v.Runs.Count != 11 || v.QueueWait.Count != 10 || v.FirstToken.Count != 0 || v.FirstToken.P50 != nil {
		t.Errorf("got %s", a.body)
	}
	if v.WindowSeconds <= 0 || v.WindowSeconds > 300 || math.Abs(v.HTTP.RatePerSecond*v.WindowSeconds-20) > 1e-6 {
		t.Errorf("the window: %s", a.body)
	}
	near("half of all", v.HTTP.P50, .05)
	near("the share of errors", v.HTTP.ErrorShare, .5)
	near("the share of failed runs", v.Runs.ErrorShare, 1.0/11)
	near("half of the runs", v.Runs.P50, 1.75)
	if len(v.Routes) != 2 || v.Routes[0].Method != "GET" || v.Routes[1].Method != "POST" || v.Routes[0].Count != 10 {
		t.Fatalf("the routes: %s", a.body)
	}
	near("the share of errors of GET", v.Routes[0].ErrorShare, 0)
	near("the share of errors of POST", v.Routes[1].ErrorShare, 1)
	near("half of POST", v.Routes[1].P50, .175)

	// Of a tenant that has not been seen there is nothing, not even zeros that look like figures.
	stranger := *r
	stranger.tenant = uuid.New()
	a = stranger.do(t, request{method: "GET", path: "/v1/metrics/quantiles", role: auth.RoleViewer})
	v = quantilesView{}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || v.Labelled || v.HTTP.Count != 0 || v.HTTP.P50 != nil || v.Routes == nil {
		t.Errorf("a stranger: %s", a.body)
	}
}
