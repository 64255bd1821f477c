package app

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/telemetry"
)

func metricsOf(t *testing.T, environ map[string]string) *telemetry.Metrics {
	t.Helper()
	c, err := config.Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	return newMetrics(c.Metrics)
}

// bounds makes an observation of every histogram that may be tuned and gives the bounds of each.
func bounds(t *testing.T, m *telemetry.Metrics) map[string][]float64 {
	t.Helper()
	m.HTTP.Observe("acme", "/v1/runs", http.MethodGet, http.StatusOK, time.Second)
	m.Runs.Started("acme", "", time.Second)
	m.Runs.FirstToken("acme", "", time.Second)
	m.Runs.Finished("acme", "completed", "", time.Second)
	m.Runs.Stopped("acme", "", time.Second)
	m.Model.Answered("openai", "gpt", "", time.Second)
	m.Tools.Called("search", "ok", time.Second)
	m.Connectors.Delivered("webhook", "", time.Second)
	m.Schedules.Late("acme", time.Second, telemetry.Exemplar{})
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]float64{}
	for _, f := range families {
		if f.GetType() == dto.MetricType_HISTOGRAM && strings.HasPrefix(f.GetName(), "lari_") && len(f.GetMetric()) > 0 {
			for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
				all[f.GetName()] = append(all[f.GetName()], b.GetUpperBound())
			}
		}
	}
	return all
}

// The defaults of the configuration are those of the metrics; each setting moves its own histogram, and the bound of an
// objective is always there.
func TestBucketsAreConfigured(t *testing.T) {
	t.Parallel()
	byDefault := bounds(t, telemetry.New(telemetry.Options{}))
	if got := bounds(t, metricsOf(t, nil)); len(got) < 10 {
		t.Errorf("there are %d histograms", len(got))
	} else {
		for name, want := range byDefault {
			if !slices.Equal(got[name], want) {
				t.Errorf("%s has the bounds %v, without configuration %v", name, got[name], want)
			}
		}
	}
	for setting, names := range map[string][]string{
		"HTTP": {"lari_http_request_duration_seconds", "lari_http_route_duration_seconds"}, "RUN_DURATION": {"lari_run_duration_seconds"},
		"RUN_QUEUE_WAIT": {"lari_run_queue_wait_seconds"}, "RUN_FIRST_TOKEN": {"lari_run_time_to_first_token_seconds"},
		"RUN_CANCEL": {"lari_run_cancel_to_stopped_seconds"}, "MODEL_CALL": {"lari_model_call_duration_seconds"}, "TOOL_CALL": {"lari_tool_call_duration_seconds"},
		"CONNECTOR_LAG": {"lari_connector_lag_seconds"}, "SCHEDULE_LAG": {"lari_schedule_firing_lag_seconds"},
	} {
		got := bounds(t, metricsOf(t, map[string]string{"LARI_METRICS_BUCKETS_" + setting: "0.2,7"}))
		for name, want := range byDefault {
			if slices.Contains(names, name) {
				want = []float64{.2, 7}
			}
			if name == "lari_run_time_to_first_token_seconds" && setting == "RUN_FIRST_TOKEN" {
				want = []float64{.2, 5, 7}
			}
			if !slices.Equal(got[name], want) {
				t.Errorf("with %s, %s has the bounds %v, want %v", setting, name, got[name], want)
			}
		}
	}
}

func TestNativeBucketsAreConfigured(t *testing.T) {
	t.Parallel()
	for factor, want := range map[string]int32{"": 3, "1.01": 7, "2": 0} {
		m := metricsOf(t, map[string]string{"LARI_METRICS_NATIVE_HISTOGRAMS": "true", "LARI_METRICS_NATIVE_FACTOR": factor, "LARI_METRICS_NATIVE_BUCKETS": "12"})
		m.HTTP.Observe("acme", "/v1/runs", http.MethodGet, http.StatusOK, time.Second)
		families, err := m.Registry().Gather()
		if err != nil {
			t.Fatal(err)
		}
		schema := int32(-99)
		for _, f := range families {
			if f.GetName() == "lari_http_request_duration_seconds" {
				schema = f.GetMetric()[0].GetHistogram().GetSchema()
			}
		}
		if schema != want {
			t.Errorf("with the factor %q the schema is %d, want %d", factor, schema, want)
		}
		for i := range 1000 {
			m.HTTP.Observe("acme", "/v1/runs", http.MethodGet, http.StatusOK, time.Duration(i*i)*time.Millisecond)
		}
		if families, err = m.Registry().Gather(); err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if h := f.GetMetric()[0].GetHistogram(); f.GetName() == "lari_http_request_duration_seconds" && len(h.GetPositiveDelta()) > 12+4 { // gaps of two are filled
				t.Errorf("there are %d buckets", len(h.GetPositiveDelta()))
			}
		}
	}
}

// Metrics that are off export nothing, and what would be metered goes on working.
func TestMetricsAreOff(t *testing.T) {
	t.Parallel()
	m := metricsOf(t, map[string]string{"LARI_METRICS": "false"})
	bounds(t, m)
	m.RunWindow(t.Context()) // returns at once
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	if page := recorder.Body.String(); m.On() || strings.Contains(page, "lari_") || strings.Contains(page, "go_") {
		t.Errorf("on: %t, with the page\n%s", m.On(), page)
	}
	if _, page, err := m.Expose(t.Context(), telemetry.Everyone, ""); err != nil || strings.Contains(string(page), "lari_") {
		t.Errorf("%v\n%s", err, page)
	}
	if r := m.Report("acme"); r.HTTP.Count != 0 || r.Runs.Count != 0 || r.Labelled {
		t.Errorf("the report is %+v", r)
	}
}
