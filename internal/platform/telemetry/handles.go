package telemetry

import "sync"

// handles remembers the series of a metric by its label values, because looking one up in a vector
// hashes and compares every value and allocates the list. It grows with the number of series, so its
// keys are made of bounded labels, and those that multiply come out of a budget. It is safe for
// concurrent use.
type handles[K comparable, V any] struct {
	resolve func(K) V
	rules   *rules[K] // nil: every key has its series

	mu    sync.RWMutex
	byKey map[K]V
}

func newHandles[K comparable, V any](resolve func(K) V) *handles[K, V] {
	return &handles[K, V]{resolve: resolve, byKey: make(map[K]V)}
}

func newBudgeted[K comparable, V any](r rules[K], resolve func(K) V) *handles[K, V] {
	h := newHandles(resolve)
	h.rules = &r
	return h
}

// get gives the series of the key, or of the next coarser one that has any. A key that was refused is not
// remembered: there are far more of those than series.
func (h *handles[K, V]) get(key K) V {
	for {
		if v, found := h.find(key); found {
			return v
		}
		if v, made := h.make(key); made {
			return v
		}
		key = h.rules.coarser(key)
	}
}

func (h *handles[K, V]) find(key K) (V, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	v, found := h.byKey[key]
	return v, found
}

func (h *handles[K, V]) make(key K) (v V, made bool) {
	if r := h.rules; r != nil && !r.budget.fits(r.cost, r.limit(key)) {
		return v, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if v, found := h.byKey[key]; found {
		return v, true
	}
	if r := h.rules; r != nil && !r.budget.take(r.cost, r.limit(key)) {
		return v, false
	}
	v = h.resolve(key)
	h.byKey[key] = v
	return v, true
}

// each shows every series to f, which must not ask for one.
func (h *handles[K, V]) each(f func(K, V)) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for key, v := range h.byKey {
		f(key, v)
	}
}
