package telemetry

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestFactsExpire(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	m := New(Options{Now: func() time.Time { return now }})
	observeTimes(m, "acme", 1, time.Millisecond)
	limit := 100.0
	m.Facts.Queued(RunQueue{Runs: 4, Oldest: time.Minute})
	m.Facts.TaskQueues([]TaskQueue{{Name: "runs", Tasks: 5, OldestWait: 2 * time.Second, Workers: 3}, {Name: "connectors"}})
	m.Facts.Held(map[string]int64{"pause": 3})
	m.Facts.Deliveries(DeliveryBacklog{DisabledEndpoints: 1, Pending: 2, Oldest: 90 * time.Second})
	m.Facts.Quotas("acme", []Quota{{Name: "runs_per_day", Used: 7, Limit: &limit}, {Name: "held_runs", Used: 1}})
	m.Facts.Quotas("unknown", []Quota{{Name: "runs_per_day", Used: 7}}) // no label: not exported
	names := []string{
		"lari_runs_queued", "lari_runs_oldest_queued_seconds", "lari_task_queue_backlog", "lari_task_queue_oldest_wait_seconds", "lari_task_queue_workers",
		"lari_runs_held", "lari_webhook_endpoints_disabled", "lari_deliveries_pending", "lari_deliveries_oldest_pending_seconds", "lari_quota_used", "lari_quota_limit",
	}
	lines := []string{
		"lari_runs_queued 4", "lari_runs_oldest_queued_seconds 60", `lari_task_queue_backlog{task_queue="runs"} 5`,
		`lari_task_queue_oldest_wait_seconds{task_queue="runs"} 2`, `lari_task_queue_workers{task_queue="runs"} 3`, `lari_task_queue_workers{task_queue="connectors"} 0`,
		`lari_runs_held{reason="pause"} 3`, "lari_webhook_endpoints_disabled 1", "lari_deliveries_pending 2", "lari_deliveries_oldest_pending_seconds 90",
		`lari_quota_used{quota="held_runs",tenant_id="acme"} 1`, `lari_quota_used{quota="runs_per_day",tenant_id="acme"} 7`, `lari_quota_limit{quota="runs_per_day",tenant_id="acme"} 100`,
	}
	page := expose(t, m)
	for _, line := range lines {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	if strings.Contains(page, "unknown") {
		t.Error("the quotas of a tenant without a label are exported")
	}
	now = now.Add(factsFor + time.Second)
	if n, err := testutil.GatherAndCount(m.Registry(), names...); err != nil || n != 0 {
		t.Errorf("%d old facts are exported, error %v", n, err)
	}
}

func expose(t *testing.T, m *Metrics) string {
	t.Helper()
	_, page, err := m.Expose(t.Context(), Everyone, "")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// Quotas come out of the budget as everything does that carries a tenant.
func TestQuotasAreBounded(t *testing.T) {
	t.Parallel()
	m := New(Options{MaxSeries: 1000, MaxTenants: 1000})
	for i := range 500 {
		tenant := fmt.Sprint("tenant-", i)
		observeTimes(m, tenant, 1, time.Millisecond)
		m.Facts.Quotas(tenant, []Quota{{Name: "runs_per_day", Used: 1}})
	}
	n, err := testutil.GatherAndCount(m.Registry(), "lari_quota_used")
	if err != nil || n == 0 || n > 500/(2*maxQuotas) {
		t.Errorf("%d series of quotas, error %v", n, err)
	}
}

func TestTenantsAreActiveWithinTheWindow(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	m := New(Options{Window: time.Minute, Now: func() time.Time { return now }})
	m.HTTP.Observe("web", "/v1/runs", http.MethodGet, 200, time.Millisecond)
	m.HTTP.Observe("", "/healthz", http.MethodGet, 200, time.Millisecond)
	m.Runs.Finished("batch", "completed", "", time.Second)
	tick := func() {
		now = now.Add(m.window.step())
		m.window.read()
	}
	if got := m.ActiveTenants(); !slices.Equal(got, []string{"batch", "web"}) {
		t.Errorf("active are %v", got)
	}
	for range ticks + 2 {
		tick()
	}
	if got := m.ActiveTenants(); len(got) != 0 {
		t.Errorf("still active are %v", got)
	}
}

// A family that finds no room is counted one step coarser, and nothing is lost.
func TestTheBudgetLosesNothing(t *testing.T) {
	t.Parallel()
	m := New(Options{MaxSeries: 1000})
	const tenants = 100
	var counts []ScheduleCount
	for i := range tenants {
		for _, route := range []string{"/a", "/b", "/c"} {
			m.HTTP.Observe(fmt.Sprint("tenant-", i), route, http.MethodGet, 404, time.Millisecond)
		}
		m.Runs.Finished(fmt.Sprint("tenant-", i), "completed", "", time.Second)
		m.Model.Spent(fmt.Sprint("tenant-", i), "openai", "gpt", 1, 0, 0)
		m.Schedules.Settled(fmt.Sprint("tenant-", i), "started", "", 1)
		counts = append(counts, ScheduleCount{Tenant: fmt.Sprint("tenant-", i), State: "active", N: 2})
	}
	m.Facts.Schedules(counts)
	var firings, schedules float64
	for _, metric := range family(t, m, "lari_schedule_firings_total").GetMetric() {
		firings += metric.GetCounter().GetValue()
	}
	for _, metric := range family(t, m, "lari_schedules").GetMetric() {
		schedules += metric.GetGauge().GetValue()
	}
	if firings != tenants || schedules != 2*tenants {
		t.Errorf("%v firings, %v schedules", firings, schedules)
	}
	var requests, coarse, other uint64
	for _, metric := range family(t, m, "lari_http_request_duration_seconds").GetMetric() {
		n := metric.GetHistogram().GetSampleCount()
		requests += n
		switch {
		case labelOf(metric, "tenant_id") == LabelOther:
			other += n
		case labelOf(metric, "route") == LabelOther:
			coarse += n
		}
		if class := labelOf(metric, "route") == LabelOther; class != (labelOf(metric, "status") == "4xx") {
			t.Errorf("the route %s has the status %s", labelOf(metric, "route"), labelOf(metric, "status"))
		}
	}
	if requests != 3*tenants || coarse == 0 || other == 0 {
		t.Errorf("%d requests, %d of them by tenant alone, %d by nothing", requests, coarse, other)
	}
	var routes, runs uint64
	for _, metric := range family(t, m, "lari_http_route_duration_seconds").GetMetric() {
		routes += metric.GetHistogram().GetSampleCount()
	}
	for _, metric := range family(t, m, "lari_run_duration_seconds").GetMetric() {
		runs += metric.GetHistogram().GetSampleCount()
	}
	var tokens float64
	for _, metric := range family(t, m, "lari_model_tokens_total").GetMetric() {
		tokens += metric.GetCounter().GetValue()
	}
	if routes != 3*tenants || runs != tenants || tokens != tenants {
		t.Errorf("%d requests by route, %d runs, %v tokens", routes, runs, tokens)
	}
	if taken := m.Facts.budget.taken.Load(); taken > 1000+200 {
		t.Errorf("%d series of a budget of 1000", taken)
	}
}
