package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Schedules counts what becomes of the firings of schedules.
type Schedules struct {
	tenants *labels
	words   *labels
	firings *handles[firingKey, prometheus.Counter]
	lag     *handles[string, prometheus.Observer]
}

type firingKey struct{ tenant, outcome, reason string }

func firingRules(b *budget) rules[firingKey] {
	return tenantRules(b, 1, func(k firingKey) string { return k.tenant }, func(k firingKey) firingKey {
		k.tenant = LabelOther
		return k
	})
}

// Settled counts firings that came to the same end; reason is why there is no run, where the outcome does not say it.
func (s *Schedules) Settled(tenant, outcome, reason string, n int) {
	if n > 0 {
		s.firings.get(firingKey{tenant: s.tenants.label(tenant), outcome: s.words.label(outcome), reason: s.words.label(reason)}).Add(float64(n))
	}
}

// Late records how long after its time a firing had its run.
func (s *Schedules) Late(tenant string, lag time.Duration, e Exemplar) {
	observe(s.lag.get(s.tenants.label(tenant)), max(lag, 0), e)
}

// ScheduleCount is how many schedules of a tenant are in a state.
type ScheduleCount struct {
	Tenant, State string
	N             int64
}

// maxScheduleStates is how many states a schedule can have, each a series of a tenant.
const maxScheduleStates = 4

// Schedules says how many schedules there are. Those of tenants without a label, or beyond the budget of series, are
// counted together.
func (f *Facts) Schedules(all []ScheduleCount) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.schedules, f.schedulesAt = map[outcomeKey]int64{}, f.now()
	for _, c := range all {
		f.schedules[outcomeKey{name: f.scheduler(c.Tenant), outcome: c.State}] += c.N
	}
}

// scheduler is the label of a tenant that has schedules.
func (f *Facts) scheduler(tenant string) string {
	label, found := f.tenants.find(tenant)
	switch {
	case !found:
		return LabelOther
	case f.scheduling[label]:
		return label
	case !f.budget.take(maxScheduleStates, f.budget.rest):
		return LabelOther
	}
	f.scheduling[label] = true
	return label
}
