package activities

import (
	"sync"

	"github.com/google/uuid"
)

// Haste tells the activities of a run that the run was just asked to stop. They ask the server at once
// instead of hearing it with their next beat.
type Haste struct {
	mu      sync.Mutex
	waiting map[uuid.UUID]map[chan struct{}]struct{}
}

// NewHaste makes one for a process.
func NewHaste() *Haste { return &Haste{waiting: map[uuid.UUID]map[chan struct{}]struct{}{}} }

// Hurry prompts the activities of the run that this process executes.
func (h *Haste) Hurry(run uuid.UUID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for prompt := range h.waiting[run] {
		select {
		case prompt <- struct{}{}:
		default: // it has been prompted
		}
	}
}

// watch gives what prompts the caller until leave is called.
func (h *Haste) watch(run uuid.UUID) (prompt <-chan struct{}, leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := make(chan struct{}, 1)
	if h.waiting[run] == nil {
		h.waiting[run] = map[chan struct{}]struct{}{}
	}
	h.waiting[run][c] = struct{}{}
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if delete(h.waiting[run], c); len(h.waiting[run]) == 0 {
			delete(h.waiting, run)
		}
	}
}
