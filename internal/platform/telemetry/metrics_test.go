package telemetry

import (
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// exercise makes a series of every metric.
func exercise(t *testing.T, m *Metrics) {
	t.Helper()
	m.HTTP.Begin()
	m.HTTP.Observe("acme", "/v1/runs", http.MethodPost, http.StatusAccepted, 3*time.Millisecond)
	m.Runs.Started("acme", "run-1", time.Second)
	m.Runs.FirstToken("acme", "run-1", 2*time.Second)
	m.Runs.Finished("acme", "cancelled", "run-1", 3*time.Second)
	m.Runs.Stopped("acme", "run-1", 40*time.Millisecond)
	m.Runs.Activate(ActiveRun{Tenant: "acme", Workspace: "ws", ID: "run-2"})
	m.Model.Spent("acme", "openai", "gpt-4.1-mini", 100, 20, 0.25)
	m.Model.Answered("openai", "gpt-4.1-mini", "run-1", time.Second)
	m.Model.Failed("openai", "gpt-4.1-mini", "rate_limited")
	m.Tools.Called("search", "ok", time.Millisecond)
	m.Connectors.Attempted("webhook", "onComplete", "ok")
	m.Connectors.Delivered("webhook", "run-1", time.Second)
	m.Knowledge.Searched(nil, time.Millisecond)
	limit := 10.0
	m.Facts.Held(map[string]int64{"quota": 2})
	m.Facts.Deliveries(DeliveryBacklog{DisabledEndpoints: 1, Pending: 3, Oldest: time.Minute})
	m.Facts.Quotas("acme", []Quota{{Name: "runs_per_day", Used: 4, Limit: &limit}})
	m.Facts.Queued(RunQueue{Runs: 2, Oldest: time.Second})
	m.Facts.TaskQueues([]TaskQueue{{Name: "runs", Tasks: 1, OldestWait: time.Second, Workers: 2}})
	m.Reconciler.Passed(true)
	m.Facts.Schedules([]ScheduleCount{{Tenant: "acme", State: "active", N: 3}, {Tenant: "nobody", State: "paused", N: 1}})
	m.Schedules.Settled("acme", "started", "", 1)
	m.Schedules.Late("acme", time.Second, Exemplar{RunID: "run-1"})
	m.Reconciler.Found("terminated")
	m.Reconciler.Announced()
	m.Streams.Opened("sse")
	m.Streams.Delivered("sse", 12)
	m.Streams.Replayed("sse", 5)
	m.Events.Appended(7, time.Millisecond)
	m.Audit.Appended(3, time.Millisecond)
	m.Audit.Lost(1)
	if err := m.WatchStreams(func() (int, int64) { return 2, 30 }); err != nil {
		t.Fatal(err)
	}
	if err := m.WatchPool("tenants", poolStat(t)); err != nil {
		t.Fatal(err)
	}
}

// poolStat gives the figures of a real pool that has not connected.
func poolStat(t *testing.T) func() PoolStat {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none?pool_max_conns=7")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return func() PoolStat { return pool.Stat() }
}

func TestMetricsAreWellNamed(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	exercise(t, m)
	problems, err := testutil.GatherAndLint(m.Registry())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		// The label is the contract's. As a summary, which may have it, the metric would need a sum and a count.
		if strings.HasSuffix(p.Metric, "_quantile_seconds") && strings.Contains(p.Text, `"quantile" label`) {
			continue
		}
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	own := 0
	for _, f := range families {
		switch name := f.GetName(); {
		case strings.HasPrefix(name, "lari_"):
			own++
		case !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_"):
			t.Errorf("%s has neither our prefix nor that of the runtime", name)
		}
	}
	if own != 58 {
		t.Errorf("%d families of our own have series after exercise, want 58: does it miss a metric?", own)
	}
}

func TestMetricsCount(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	exercise(t, m)
	m.HTTP.End()
	m.Model.Spent("acme", "openai", "gpt-4.1-mini", -5, 0, -1)
	m.Model.Spent("acme", "openai", "gpt-4.1-mini", 0, 0, math.NaN())
	m.Model.Spent("acme", "openai", "gpt-4.1-mini", 0, 0, math.Inf(1))
	m.Streams.Delivered("sse", -3)
	m.Streams.Closed("sse")
	want := `
# HELP lari_http_requests_in_flight Requests being answered now; a stream until its first byte (lari_streams_open has the others).
# TYPE lari_http_requests_in_flight gauge
lari_http_requests_in_flight 0
# HELP lari_model_cost_usd_total Price of the tokens in US dollars, as far as the model has a price.
# TYPE lari_model_cost_usd_total counter
lari_model_cost_usd_total{model="gpt-4.1-mini",provider="openai",tenant_id="acme"} 0.25
# HELP lari_model_tokens_total Tokens that models were billed for, by direction (input, output).
# TYPE lari_model_tokens_total counter
lari_model_tokens_total{direction="input",model="gpt-4.1-mini",provider="openai",tenant_id="acme"} 100
lari_model_tokens_total{direction="output",model="gpt-4.1-mini",provider="openai",tenant_id="acme"} 20
# HELP lari_postgres_pool_max_connections Connections that the pool may open.
# TYPE lari_postgres_pool_max_connections gauge
lari_postgres_pool_max_connections{pool="tenants"} 7
# HELP lari_runs_active Runs that have started and not ended, one series each; what is above the bound is counted in run_id _other.
# TYPE lari_runs_active gauge
lari_runs_active{run_id="run-2",tenant_id="acme",workspace_id="ws"} 1
# HELP lari_runs_finished_total Runs that ended, by final status.
# TYPE lari_runs_finished_total counter
lari_runs_finished_total{status="cancelled",tenant_id="acme"} 1
# HELP lari_stream_events_delivered_total Events written to clients, replayed ones included.
# TYPE lari_stream_events_delivered_total counter
lari_stream_events_delivered_total{transport="sse"} 12
# HELP lari_streams_open Clients that follow a run now, by transport.
# TYPE lari_streams_open gauge
lari_streams_open{transport="sse"} 0
`
	names := []string{
		"lari_http_requests_in_flight", "lari_model_cost_usd_total", "lari_model_tokens_total", "lari_postgres_pool_max_connections",
		"lari_runs_active", "lari_runs_finished_total", "lari_stream_events_delivered_total", "lari_streams_open",
	}
	if err := testutil.GatherAndCompare(m.Registry(), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	if err := m.WatchPool("tenants", poolStat(t)); err == nil {
		t.Error("two pools of one name are accepted")
	}
	if err := m.WatchStreams(func() (int, int64) { return 0, 0 }); err == nil {
		t.Error("streams are watched twice")
	}
}

func TestHTTPLabelsAreBounded(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	m.HTTP.Observe("", "", "BREW", 99, time.Second)
	m.HTTP.Observe("acme", "/v1/runs/:id", http.MethodGet, http.StatusOK, time.Second)
	m.HTTP.Observe("acme\xff", "/v1/runs/:id", http.MethodGet, http.StatusOK, time.Second)
	f := family(t, m, "lari_http_request_duration_seconds")
	for label, want := range map[string][]string{
		"tenant_id": {LabelNone, LabelOther, "acme"},
		"route":     {"/v1/runs/:id", LabelNone},
		"method":    {"GET", LabelOther},
		"status":    {"200", LabelOther},
	} {
		var got []string
		for value := range values(f, label) {
			got = append(got, value)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s has the values %v, want %v", label, got, want)
		}
	}
}

func TestRunsLeaveExemplars(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	m.Runs.Started("acme", "run-1", time.Second)
	m.Runs.Finished("acme", "completed", strings.Repeat("x", 200), time.Second)
	m.Runs.Finished("acme", "completed", "\xff", time.Second)
	m.Runs.Finished("acme", "completed", "", time.Second)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
	request.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, request)
	page := recorder.Body.String()
	if !strings.Contains(page, `# {run_id="run-1"} 1.0`) {
		t.Error("the run is no exemplar of its waiting time")
	}
	if strings.Count(page, "run_id=") != 1 {
		t.Error("a run id that is no exemplar was exported")
	}
	if !strings.Contains(page, `lari_run_duration_seconds_count{status="completed",tenant_id="acme"} 3`) {
		t.Error("runs without an exemplar were not counted")
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	observe := func() {
		m.HTTP.Begin()
		m.HTTP.Observe("acme", "/v1/runs/:id", http.MethodGet, http.StatusOK, time.Millisecond)
		m.HTTP.End()
		m.Streams.Delivered("sse", 1)
		m.Tools.Called("search", "ok", time.Millisecond)
		m.Model.Spent("acme", "openai", "gpt-4.1-mini", 1, 1, 0.1)
	}
	observe()
	if n := allocations(observe); n != 0 {
		t.Errorf("counting allocates %d times", n)
	}
}

// allocations is the least of some runs: the runtime and other tests allocate meanwhile.
func allocations(f func()) int64 {
	least := int64(math.MaxInt64)
	for range 5 {
		result := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
		if least = min(least, result.AllocsPerOp()); least == 0 {
			break
		}
	}
	return least
}

func BenchmarkHTTPObserve(b *testing.B) {
	m := New(Options{})
	b.ReportAllocs()
	for b.Loop() {
		m.HTTP.Observe("acme", "/v1/runs/:id", http.MethodGet, http.StatusOK, time.Millisecond)
	}
}

func BenchmarkHTTPObserveParallel(b *testing.B) {
	m := New(Options{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.HTTP.Observe("acme", "/v1/runs/:id", http.MethodGet, http.StatusOK, time.Millisecond)
		}
	})
}
