package telemetry

import (
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// shown are the quantiles that are exported, by their label.
func shown() map[string]float64 { return map[string]float64{"0.5": 0.5, "0.95": 0.95, "0.99": 0.99} }

// freshFor is how long computed quantiles serve all who ask.
const freshFor = time.Second

// quantileGauges exports quantiles of the last minutes. They are computed when somebody asks.
type quantileGauges struct {
	window *window
	now    func() time.Time
	descs  quantileDescs

	mu      sync.Mutex
	until   time.Time
	metrics []prometheus.Metric
}

type quantileDescs struct{ http, run, wait, firstToken *prometheus.Desc }

func newQuantileGauges(w *window, now func() time.Time) *quantileGauges {
	return &quantileGauges{window: w, now: now, descs: newQuantileDescs()}
}

// Describe is part of prometheus.Collector.
func (g *quantileGauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.descs.http, g.descs.run, g.descs.wait, g.descs.firstToken} {
		out <- d
	}
}

// Collect is part of prometheus.Collector.
func (g *quantileGauges) Collect(out chan<- prometheus.Metric) {
	for _, m := range g.fresh() {
		out <- m
	}
}

func (g *quantileGauges) fresh() []prometheus.Metric {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.now(); g.metrics == nil || now.After(g.until) {
		g.metrics = g.compute()
		g.until = now.Add(freshFor)
	}
	return g.metrics
}

func (g *quantileGauges) compute() []prometheus.Metric {
	w := g.window
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	since := w.since(now)
	itself := func(tenant string) (string, bool) { return tenant, true }
	var out []prometheus.Metric
	for desc, byTenant := range map[*prometheus.Desc]map[string]distribution{
		g.descs.http:       within(w.http, now, since, func(k httpKey) (string, bool) { return k.tenant, true }),
		g.descs.run:        within(w.run, now, since, func(k outcomeKey) (string, bool) { return k.name, true }),
		g.descs.wait:       within(w.wait, now, since, itself),
		g.descs.firstToken: within(w.firstToken, now, since, itself),
	} {
		for tenant, d := range byTenant {
			for label, q := range shown() {
				if v := d.quantile(q); !math.IsNaN(v) {
					out = append(out, prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, tenant, label))
				}
			}
		}
	}
	return out
}
