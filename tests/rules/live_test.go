package rules

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/sdk/client"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// TestAgainstPrometheus compares what a real Prometheus makes of the exposition with what the processes say
// themselves, and holds the rules to be evaluated, whatever the format. It goes before the parallel ones, which would
// leave no processor to answer scrapes in time.
func TestAgainstPrometheus(t *testing.T) { //nolint:paralleltest // see above
	e := newEstate(t)
	e.warm(t)
	e.observe(t)
	e.load(t, loadFor)
	e.settle(t)
	e.compareGauges(t)
	e.compareRates(t)
	e.compareIndicators(t)
	e.checkRules(t)
	e.compareEndpoint(t)
	e.breakWorkflow(t)
	e.compareClassic(t)
	http.DefaultClient.CloseIdleConnections()
}

// compareGauges: a quantile of all that the histograms hold, as histogram_quantile gives it, is the gauge; the
// window reaches back to the start of the processes. These have native histograms, so the gauges are of those, by the
// interpolation of Prometheus 3, which this one does not have yet: both lie in one bucket, which is a tenth wide, or at its
// edge in the next one that is not empty.
func (e *estate) compareGauges(t *testing.T) {
	t.Helper()
	e.compareAll(t, e.native, e.admins, e.tenants, `histogram_quantile(%v, sum(%s_seconds{%s}))`, rankSlack, .1)
}

// compareClassic: without native histograms the gauges are of the buckets that are exported, and then to the digit.
func (e *estate) compareClassic(t *testing.T) {
	t.Helper()
	cfg := e.system.Config
	cfg.AdminAddr, cfg.Metrics.Native = freeAddress(t), false
	p := e.system.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, agents.Config{})
	e.processes, e.tenants = []*harness.Process{p, p}, []*harness.Tenant{x, x}
	e.load(t, warmFor)
	there := fmt.Sprintf("%q", cfg.AdminAddr)
	plain := serve(t, "classic histograms", "prometheus.yml", "", quick(map[string]string{
		`"lari-api-1:9464", "lari-api-2:9464"`: there, `"lari-worker-1:9464", "lari-worker-2:9464"`: "",
	}))
	e.compareAll(t, plain, []string{cfg.AdminAddr}, []*harness.Tenant{x}, `histogram_quantile(%v, sum by (le) (%s_seconds_bucket{%s}))`, 0, 1e-9)
}

func (e *estate) compareAll(t *testing.T, by *prometheus, admins []string, tenants []*harness.Tenant, expression string, ranks, slack float64) {
	t.Helper()
	var worst float64
	n := 0
	for _, metric := range []string{"lari_http_request_duration", "lari_run_duration", "lari_run_queue_wait", "lari_run_time_to_first_token"} {
		for _, admin := range admins {
			for _, x := range tenants {
				for _, q := range []float64{.5, .95, .99} {
					selector := fmt.Sprintf(`instance="%s",tenant_id="%s"`, admin, x.ID)
					var off float64
					harness.Eventually(t, within, metric+" and its gauge agree", func() bool { // a gauge is up to a second old
						gauge, _ := by.number(t, `%s_quantile_seconds{%s,quantile="%v"}`, metric, selector, q)
						low, _ := by.number(t, expression, q-ranks, metric, selector)
						high, _ := by.number(t, expression, min(q+ranks, 1), metric, selector)
						off = max(low-gauge, gauge-high, 0) / high
						return low > 0 && off <= slack
					})
					worst, n = max(worst, off), n+1
				}
			}
		}
	}
	t.Logf("FIGURE %d gauges (four histograms, p50, p95, p99) against histogram_quantile of %s: largest relative difference %.1e (at most %.0e)", n, by.name, worst, slack)
}

// rankSlack is by how much of all observations rate() may move one: the least buckets had counted too little before.
const rankSlack = .02

// compareRates: rate() begins with the first point of a series, so what was counted before is left out here too. It
// extrapolates each series for itself by up to half the pause between two scrapes, but not to before it would have been
// zero: what was counted before the first scrape keeps all from that, but for buckets with hardly anything in them. What
// differs moves ranks, not values: the answer lies between quantiles a little below and above.
func (e *estate) compareRates(t *testing.T) {
	t.Helper()
	for _, metric := range []string{"lari_http_request_duration_seconds", "lari_run_duration_seconds"} {
		for _, x := range e.tenants {
			for _, q := range []float64{.5, .95, .99} {
				e.compareRate(t, metric, x.ID.String(), q)
			}
		}
	}
}

func (e *estate) compareRate(t *testing.T, metric, tenant string, q float64) {
	t.Helper()
	var figures string
	defer func() { t.Log("FIGURE", figures) }()
	// Load has stopped, so the answers stay; but for a moment in which one server missed a scrape.
	harness.Eventually(t, within, "they agree", func() bool {
		seen := e.open.must(t, `sum(%s_count{tenant_id="%s"} - min_over_time(%[1]s_count{tenant_id="%[2]s"}[5m]))`, metric, tenant)
		exactly := func(q float64) float64 {
			return e.open.must(t, `histogram_quantile(%v, sum by (le) (%s_bucket{tenant_id="%s"} - min_over_time(%[2]s_bucket{tenant_id="%[3]s"}[5m])))`, q, metric, tenant)
		}
		low, high := exactly(q-rankSlack), exactly(min(q+rankSlack, 1))
		direct := e.open.must(t, `histogram_quantile(%v, sum by (le) (rate(%s_bucket{tenant_id="%s"}[5m])))`, q, metric, tenant)
		agree := low <= direct && direct <= high
		figures = fmt.Sprintf("p%v of %s across both processes, of %.0f: without extrapolation %.1f ms, allowed %.1f to %.1f ms (rank ± %v), rate()[5m] %.1f ms",
			100*q, strings.TrimPrefix(metric, "lari_"), seen, 1000*exactly(q), 1000*low, 1000*high, rankSlack, 1000*direct)
		for _, p := range e.servers() {
			recorded := p.must(t, `tenant:%s:quantile5m{tenant_id="%s",quantile="%v"}`, metric, tenant, q)
			from, to := low, high
			if p == e.native { // finer buckets: it need only lie in the classic ones between which the others do
				from, to = e.bucket(t, metric, low, high)
			}
			agree = agree && from <= recorded && recorded <= to
			figures += fmt.Sprintf(", %s %.1f ms", p.name, 1000*recorded)
		}
		return agree
	})
}

// bucket gives the bounds of the classic buckets that hold the two values.
func (e *estate) bucket(t *testing.T, metric string, low, high float64) (from, to float64) {
	t.Helper()
	to = math.Inf(1)
	for _, s := range e.open.query(t, fmt.Sprintf(`count by (le) (%s_bucket)`, metric)) {
		var bound float64
		if _, err := fmt.Sscan(strings.Replace(s.labels["le"], "+Inf", "Inf", 1), &bound); err != nil {
			t.Fatal(err)
		}
		if bound <= low {
			from = max(from, bound)
		}
		if bound >= high {
			to = min(to, bound)
		}
	}
	return from, to
}

// compareIndicators: the rates that objectives are measured by are the same whatever the format, and nothing failed.
func (e *estate) compareIndicators(t *testing.T) {
	t.Helper()
	for _, slo := range []string{"availability", "run_success", "first_token"} {
		for _, x := range e.tenants {
			var rates []float64
			for _, p := range e.servers() {
				selector := fmt.Sprintf(`{slo="%s",tenant_id="%s"}`, slo, x.ID)
				rates = append(rates, p.must(t, "tenant:lari_slo_requests:rate5m%s", selector))
				if errors := p.must(t, "tenant:lari_slo_errors:rate5m%s", selector); errors != 0 {
					t.Errorf("%s: errors of %s at a rate of %v", p.name, slo, errors)
				}
				if ratio := p.must(t, "tenant:lari_slo_errors:ratio5m%s", selector); ratio != 0 {
					t.Errorf("%s: %v of %s are errors", p.name, ratio, slo)
				}
			}
			// The servers began, and look, at other moments; that is what extrapolation makes up for, and no more than about.
			if low, high := slices.Min(rates), slices.Max(rates); low <= 0 || high > 1.25*low {
				t.Errorf("%s has the rates %v", slo, rates)
			}
			t.Logf("FIGURE %s of a tenant: %.2f/s as OpenMetrics, %.2f/s with native histograms, %.2f/s as text", slo, rates[0], rates[1], rates[2])
		}
	}
	// Up to 2.x a bound has another name in OpenMetrics. The rules find both, as the numbers above show.
	for _, p := range []*prometheus{e.open, e.text} {
		for _, s := range p.query(t, `count by (le) (lari_run_time_to_first_token_seconds_bucket{le=~"5|5[.]0"})`) {
			t.Logf("FIGURE %s calls the bound of 5 s %q", p.name, s.labels["le"])
		}
	}
	if n, ok := e.native.number(t, `count(lari_http_request_duration_seconds_bucket)`); ok {
		t.Errorf("with native histograms there are %v classic buckets even so: the rules' other half is not tried", n)
	}
}

// checkRules: all are evaluated without an error, all targets answer, and nothing fires but the dead-man's signal.
func (e *estate) checkRules(t *testing.T) {
	t.Helper()
	for _, p := range e.servers() {
		var all []rule
		harness.Eventually(t, within, "every rule has been evaluated", func() bool {
			all = p.rules(t)
			return !slices.ContainsFunc(all, func(r rule) bool { return r.Health == "unknown" })
		})
		for _, r := range all {
			if r.Health != "ok" || r.LastError != "" {
				t.Errorf("%s: the rule %s is %s: %s", p.name, r.Name, r.Health, r.LastError)
			}
		}
		harness.Eventually(t, within, p.name+": all targets are up", func() bool {
			found := p.targets(t)
			for _, health := range found {
				if health != "up" {
					return false
				}
			}
			return len(found) == len(e.processes)
		})
		if firing := p.firing(t); len(firing) != 1 || !firing["LariWatchdog"] {
			t.Errorf("%s: there fire %v", p.name, firing)
		}
		t.Logf("FIGURE %s: %d rules, all evaluated without error; %d targets, all up", p.name, len(all), len(p.targets(t)))
	}
	for expression, least := range map[string]float64{
		`min(max by (task_queue) (lari_task_queue_workers))`: 1, `count(count by (task_queue) (lari_task_queue_oldest_wait_seconds))`: 4, `count(lari_runs_oldest_queued_seconds)`: 2,
		`sum(lari_reconciler_passes_total{outcome="completed"})`: 1, `count(lari_reconciler_found_total{workflow="stuck"})`: 2,
	} {
		harness.Eventually(t, within, expression, func() bool { // the gauges are renewed every 15 s
			v, _ := e.open.number(t, "%s", expression)
			return v >= least
		})
	}
}

// compareEndpoint: the API tells the same quantiles. It comes last, as its requests are counted too.
func (e *estate) compareEndpoint(t *testing.T) {
	t.Helper()
	for i, p := range e.processes {
		for _, x := range e.tenants {
			gauges := map[string]float64{}
			for _, q := range []string{"0.5", "0.95", "0.99"} {
				gauges[q] = e.open.must(t, `lari_http_request_duration_quantile_seconds{instance="%s",tenant_id="%s",quantile="%s"}`, e.admins[i], x.ID, q)
			}
			there := *x
			there.URL = p.URL
			var told struct {
				HTTP struct {
					P50 float64 `json:"p50_seconds"`
					P95 float64 `json:"p95_seconds"`
					P99 float64 `json:"p99_seconds"`
				} `json:"http"`
			}
			there.Do(t, "GET", "/v1/metrics/quantiles", nil).Want(t, 200, &told)
			for q, v := range map[string]float64{"0.5": told.HTTP.P50, "0.95": told.HTTP.P95, "0.99": told.HTTP.P99} {
				if math.Abs(gauges[q]-v) > 1e-9 {
					t.Errorf("the API says %v, the gauge %v", v, gauges[q])
				}
			}
			t.Logf("FIGURE GET /v1/metrics/quantiles: p50 %.1f, p95 %.1f, p99 %.1f ms, which are the gauges", 1000*told.HTTP.P50, 1000*told.HTTP.P95, 1000*told.HTTP.P99)
		}
	}
}

// breakWorkflow has a workflow task fail: what the rules ask of Temporal's SDK is there, with its labels, and the
// alert fires.
func (e *estate) breakWorkflow(t *testing.T) {
	t.Helper()
	run, err := e.system.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: workflows.RunQueue}, "NobodyKnowsIt")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*prometheus{e.open, e.native} {
		harness.Eventually(t, within, "the alert fires", func() bool { return p.firing(t)["LariWorkflowTasksFailing"] })
	}
	if err := e.system.Temporal.TerminateWorkflow(t.Context(), run.GetID(), run.GetRunID(), "the test is over"); err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(read(t, "testdata/foreign.txt")) {
		words := strings.Fields(line)
		for _, s := range e.open.query(t, words[0]) {
			for _, label := range words[1:] {
				if s.labels[label] == "" {
					t.Errorf("%s has no label %s: %v", words[0], label, s.labels)
				}
			}
		}
		if len(e.open.query(t, words[0])) == 0 {
			t.Errorf("there is no %s", words[0])
		}
	}
}
