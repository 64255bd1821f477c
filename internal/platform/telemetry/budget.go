package telemetry

import (
	"math"
	"sync/atomic"
)

// budget bounds the series of all metrics that carry a tenant together. What has been taken is never
// given back, so a refusal is for good and a series never changes its meaning.
//
// Who may still take depends on what has been taken: single routes of a tenant are refused first, then
// runs, models and routes, and last whole tenants' requests. So a crowd of tenants, each of which uses
// everything, leaves requests to every tenant that has a label.
type budget struct {
	routes int64 // what has been taken in all when single routes of a tenant are refused
	rest   int64 // the same of everything but the requests of a whole tenant
	total  int64
	taken  atomic.Int64
}

// unbounded is the limit of the coarsest series, whose number the code bounds: they are made in any case.
const unbounded = math.MaxInt64

func newBudget(series int) *budget {
	total := int64(series)
	return &budget{routes: total / 5, rest: total / 2, total: total}
}

// fits reports whether n more series would stay within the limit.
func (b *budget) fits(n, limit int64) bool { return limit == unbounded || b.taken.Load()+n <= limit }

// take takes n series unless that would go beyond the limit.
func (b *budget) take(n, limit int64) bool {
	for {
		taken := b.taken.Load()
		if limit != unbounded && taken+n > limit {
			return false
		}
		if b.taken.CompareAndSwap(taken, taken+n) {
			return true
		}
	}
}

// rules of a metric whose series come out of a budget.
type rules[K comparable] struct {
	budget  *budget
	cost    int64         // series of one key
	limit   func(K) int64 // for making the series of this key; unbounded where there is none coarser
	coarser func(K) K     // what a key without series is counted under
}

// tenantRules count what finds no room under the tenant LabelOther.
func tenantRules[K comparable](b *budget, cost int64, tenant func(K) string, other func(K) K) rules[K] {
	return rules[K]{budget: b, cost: cost, coarser: other, limit: func(k K) int64 {
		if t := tenant(k); t == LabelOther || t == LabelNone {
			return unbounded
		}
		return b.rest
	}}
}

// plainRules are those of a metric that has no label but the tenant.
func plainRules(b *budget, cost int64) rules[string] {
	return tenantRules(b, cost, func(t string) string { return t }, func(string) string { return LabelOther })
}

func outcomeRules(b *budget, cost int64) rules[outcomeKey] {
	return tenantRules(b, cost, func(k outcomeKey) string { return k.name }, func(k outcomeKey) outcomeKey {
		k.name = LabelOther
		return k
	})
}

func tokensRules(b *budget) rules[tokensKey] {
	return tenantRules(b, 1, func(k tokensKey) string { return k.tenant }, func(k tokensKey) tokensKey {
		k.tenant = LabelOther
		return k
	})
}
