package telemetry

import (
	"math"
	"sync/atomic"
)

// budget bounds the series of all metrics that carry a tenant together. What has been taken is never
// given back, so a refusal is for good and a series never changes its meaning.
type budget struct {
	total int64
	fine  int64 // what has been taken in all when the finest series are refused
	taken atomic.Int64
}

// unbounded is the limit of the coarsest series, whose number the code bounds: they are made in any case.
const unbounded = math.MaxInt64

// newBudget leaves the finest series a quarter: tenants that come late still get series of their own.
func newBudget(series int) *budget { return &budget{total: int64(series), fine: int64(series) / 4} }

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
		return b.total
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
