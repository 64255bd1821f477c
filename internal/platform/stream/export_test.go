package stream

// Topics is how many logs the hub remembers something of.
func (h *Hub[E]) Topics() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.topics)
}

// The appender's limits.
const (
	MaxBatch = maxBatch
	MaxQueue = maxQueue
	PageSize = pageSize

	PublishWithin = publishWithin
)
