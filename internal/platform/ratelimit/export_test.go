package ratelimit

// Known is how many tenants the limiter remembers.
func (l *Limiter) Known() (n int) {
	for i := range l.shards {
		l.shards[i].mu.RLock()
		n += len(l.shards[i].buckets)
		l.shards[i].mu.RUnlock()
	}
	return n
}
