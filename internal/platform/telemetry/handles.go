package telemetry

import "sync"

// handles remembers the series of a metric by its label values, because looking one up in a vector
// hashes and compares every value and allocates the list. It grows with the number of series, so its
// keys are made of bounded labels only. It is safe for concurrent use.
type handles[K comparable, V any] struct {
	resolve func(K) V

	mu    sync.RWMutex
	byKey map[K]V
}

func newHandles[K comparable, V any](resolve func(K) V) *handles[K, V] {
	return &handles[K, V]{resolve: resolve, byKey: make(map[K]V)}
}

func (h *handles[K, V]) get(key K) V {
	h.mu.RLock()
	v, found := h.byKey[key]
	h.mu.RUnlock()
	if found {
		return v
	}
	v = h.resolve(key) // two goroutines may both resolve: the vector gives both the same series
	h.mu.Lock()
	h.byKey[key] = v
	h.mu.Unlock()
	return v
}
