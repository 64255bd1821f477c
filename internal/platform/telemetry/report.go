package telemetry

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Report is what this process did for a tenant within the window.
type Report struct {
	From, To time.Time
	Labelled bool // the tenant has a label of its own; without one nothing is known of it alone

	HTTP       Figures
	Routes     []RouteFigures // by route and method; LabelOther is what had no series of its own
	Runs       Figures
	QueueWait  Figures
	FirstToken Figures
}

// Figures of a distribution. Quantiles are nil when nothing was counted.
type Figures struct {
	Count         float64
	Errors        float64 // of the count: answers of the 5xx kind, runs that did not complete and were not cancelled
	P50, P95, P99 *float64
}

// RouteFigures of one route.
type RouteFigures struct {
	Route, Method string
	Figures
}

// Report gives what the window holds of a tenant.
func (m *Metrics) Report(tenant string) Report {
	w := m.window
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	since := w.since(now)
	r := Report{From: since, To: now}
	label, found := m.tenants.find(tenant)
	if r.Labelled = found && !m.off; !r.Labelled {
		return r
	}
	r.addHTTP(within(w.http, now, since, func(k httpKey) (httpKey, bool) { return k, k.tenant == label }))
	byStatus := within(w.run, now, since, func(k outcomeKey) (string, bool) { return k.outcome, k.name == label })
	runs, failed := distribution{}, 0.0
	for status, d := range byStatus {
		runs = runs.join(d)
		if status != "completed" && status != "cancelled" {
			failed += d.count()
		}
	}
	r.Runs = runs.figures(failed)
	own := func(tenant string) (bool, bool) { return true, tenant == label }
	r.QueueWait = within(w.wait, now, since, own)[true].figures(0)
	r.FirstToken = within(w.firstToken, now, since, own)[true].figures(0)
	return r
}

func (r *Report) addHTTP(series map[httpKey]distribution) {
	type route struct{ route, method string }
	routes, failures := map[route]distribution{}, map[route]float64{}
	all, failed := distribution{}, 0.0
	for k, d := range series {
		at := route{k.route, k.method}
		routes[at], all = routes[at].join(d), all.join(d)
		if k.status/100 == 5 || k.status == 5 {
			failures[at] += d.count()
			failed += d.count()
		}
	}
	r.HTTP = all.figures(failed)
	for at, d := range routes {
		r.Routes = append(r.Routes, RouteFigures{Route: at.route, Method: at.method, Figures: d.figures(failures[at])})
	}
	slices.SortFunc(r.Routes, func(a, b RouteFigures) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Method, b.Method))
	})
}

func (d distribution) figures(errors float64) Figures {
	f := Figures{Count: d.count(), Errors: errors}
	for q, to := range map[float64]**float64{0.5: &f.P50, 0.95: &f.P95, 0.99: &f.P99} {
		if v := d.quantile(q); !math.IsNaN(v) {
			*to = &v
		}
	}
	return f
}
