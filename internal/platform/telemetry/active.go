package telemetry

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

// ActiveRun is a run that has started and not ended.
type ActiveRun struct {
	Tenant    string
	Workspace string // empty: none
	ID        string
}

// activeRuns is a gauge whose series come and go with the runs. At most limit runs have a series of their
// own, so that a flood of runs does not become a flood of series; the others are counted per tenant.
type activeRuns struct {
	tenants *labels
	limit   int
	desc    *prometheus.Desc

	mu   sync.Mutex
	runs map[string]activeEntry
	own  int // runs with a series of their own
}

type activeEntry struct {
	tenant, workspace string // as labels
	own               bool
}

func newActiveRuns(tenants *labels, limit int, desc *prometheus.Desc) *activeRuns {
	return &activeRuns{tenants: tenants, limit: limit, desc: desc, runs: make(map[string]activeEntry)}
}

func (a *activeRuns) add(run ActiveRun) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, found := a.runs[run.ID]; found || run.ID == "" {
		return
	}
	e := activeEntry{tenant: a.tenants.label(run.Tenant), workspace: run.Workspace}
	e.own = a.own < a.limit && utf8.ValidString(run.ID) && utf8.ValidString(run.Workspace)
	if e.own {
		a.own++
	}
	if run.Workspace == "" {
		e.workspace = LabelNone
	}
	e.workspace = strings.Clone(e.workspace)
	a.runs[strings.Clone(run.ID)] = e
}

func (a *activeRuns) remove(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e, found := a.runs[id]; found {
		delete(a.runs, id)
		if e.own {
			a.own--
		}
	}
}

// list gives the runs by id, which is by age.
func (a *activeRuns) list() []ActiveRun {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]ActiveRun, 0, len(a.runs))
	for id, e := range a.runs {
		out = append(out, ActiveRun{Tenant: e.tenant, Workspace: e.workspace, ID: id})
	}
	slices.SortFunc(out, func(x, y ActiveRun) int { return strings.Compare(x.ID, y.ID) })
	return out
}

// Describe is part of prometheus.Collector.
func (a *activeRuns) Describe(out chan<- *prometheus.Desc) { out <- a.desc }

// Collect is part of prometheus.Collector.
func (a *activeRuns) Collect(out chan<- prometheus.Metric) {
	for _, m := range a.snapshot() {
		out <- m
	}
}

// snapshot keeps the lock away from the channel: its reader may be slow.
func (a *activeRuns) snapshot() []prometheus.Metric {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]prometheus.Metric, 0, a.own)
	others := map[string]int{}
	for id, e := range a.runs {
		if !e.own {
			others[e.tenant]++
			continue
		}
		out = append(out, prometheus.MustNewConstMetric(a.desc, prometheus.GaugeValue, 1, e.tenant, e.workspace, id))
	}
	for tenant, n := range others {
		out = append(out, prometheus.MustNewConstMetric(a.desc, prometheus.GaugeValue, float64(n), tenant, LabelOther, LabelOther))
	}
	return out
}
