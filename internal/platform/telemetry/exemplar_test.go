package telemetry

import (
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// exemplarsOf gives the exemplars of each histogram that has any.
func exemplarsOf(t *testing.T, m *Metrics) map[string]map[string]string {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string]string{}
	for _, f := range families {
		if f.GetType() != dto.MetricType_HISTOGRAM {
			continue
		}
		for _, series := range f.GetMetric() {
			for _, b := range series.GetHistogram().GetBucket() {
				if b.GetExemplar() == nil {
					continue
				}
				found[f.GetName()] = map[string]string{}
				for _, l := range b.GetExemplar().GetLabel() {
					found[f.GetName()][l.GetName()] = l.GetValue()
				}
			}
		}
	}
	return found
}

// An exemplar names the run and, if it is kept, its trace, in every histogram of what happens to somebody; what is no
// id does not panic.
func TestExemplarsNameRunAndTrace(t *testing.T) {
	t.Parallel()
	const id, kept = "0190a0b0-0000-7000-8000-000000000002", "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, c := range []struct{ run, trace, wantRun, wantTrace string }{
		{id, kept, id, kept},
		{id, "", id, ""},
		{id, "too short", id, ""},
		{"", kept, "", kept},
		{strings.Repeat("x", 65), kept, "", kept},
		{"\xff", kept, "", kept},
		{"", strings.Repeat("\xff", 32), "", ""},
	} {
		m, e := New(Options{}), Exemplar{RunID: c.run, TraceID: c.trace}
		m.HTTP.Observe("acme", "/v1/runs/{run_id}", http.MethodGet, http.StatusOK, time.Second, e)
		m.Runs.Started("acme", c.run, time.Second, c.trace)
		m.Runs.FirstToken("acme", c.run, time.Second, c.trace)
		m.Runs.Finished("acme", "completed", c.run, time.Second, c.trace)
		m.Runs.Stopped("acme", c.run, time.Second, c.trace)
		m.Model.Answered("openai", "gpt", c.run, time.Second, c.trace)
		m.Tools.Called("search", "ok", time.Second, e)
		m.Connectors.Delivered("webhook", c.run, time.Second, c.trace)
		m.Knowledge.Searched(nil, time.Second, e)
		found := exemplarsOf(t, m)
		for _, name := range []string{
			"lari_http_request_duration_seconds", "lari_http_route_duration_seconds", "lari_run_queue_wait_seconds", "lari_run_time_to_first_token_seconds",
			"lari_run_duration_seconds", "lari_run_cancel_to_stopped_seconds", "lari_model_call_duration_seconds", "lari_tool_call_duration_seconds",
			"lari_connector_lag_seconds", "lari_knowledge_search_duration_seconds",
		} {
			if e := found[name]; e["run_id"] != c.wantRun || e["trace_id"] != c.wantTrace {
				t.Errorf("the exemplar of %s for the run %q and the trace %q is %v", name, c.run, c.trace, e)
			}
		}
	}
}

// A bucket that is hit all the time takes an exemplar a second; one that is seldom hit takes its own at once.
func TestExemplarsOfRequestsAreSparing(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	m := New(Options{Now: func() time.Time { return now }})
	observe := func(trace string, took time.Duration) {
		m.HTTP.Observe("acme", "/v1/runs", http.MethodGet, http.StatusOK, took, Exemplar{TraceID: trace})
	}
	first, second := strings.Repeat("1", 32), strings.Repeat("2", 32)
	observe(first, time.Millisecond)
	observe(second, time.Millisecond) // at a bound, and too early
	want := func(name, fast, slow string) {
		t.Helper()
		var found [2]string
		for _, b := range family(t, m, name).GetMetric()[0].GetHistogram().GetBucket() {
			for _, l := range b.GetExemplar().GetLabel() {
				which := 0
				if b.GetUpperBound() > 1 {
					which = 1
				}
				found[which] = l.GetValue()
			}
		}
		if found != [2]string{fast, slow} {
			t.Errorf("the exemplars of %s are %v", name, found)
		}
	}
	observe(second, time.Minute)
	for _, name := range []string{"lari_http_request_duration_seconds", "lari_http_route_duration_seconds"} {
		want(name, first, second)
	}
	now = now.Add(time.Second)
	observe(second, time.Millisecond)
	for _, name := range []string{"lari_http_request_duration_seconds", "lari_http_route_duration_seconds"} {
		want(name, second, second)
	}
}

// BenchmarkHTTPObserveTraced is what the exemplars of a request add, which only those have whose trace is kept.
func BenchmarkHTTPObserveTraced(b *testing.B) {
	m := New(Options{})
	b.ReportAllocs()
	for b.Loop() {
		m.HTTP.Observe("acme", "/v1/runs/:id", http.MethodGet, http.StatusOK, time.Millisecond,
			Exemplar{RunID: "0190a0b0-0000-7000-8000-000000000002", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736"})
	}
}
