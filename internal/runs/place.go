package runs

import (
	"sync"
	"time"

	"github.com/google/uuid"
)

// Place is where a pass stands in a list that is ordered by a time and an id; zero: at its beginning. A pass that reads a
// page of what need not leave the list goes on behind it, so that nothing stands in front of the rest for ever.
type Place struct {
	At time.Time `json:"at"`
	ID uuid.UUID `json:"id"`
}

// pass names a list that the dispatcher walks through.
type pass int

const (
	passStart pass = iota
	passCancel
	passApprovals
)

// places is where the dispatcher of this process stands. A process that begins anew begins with the oldest.
type places struct {
	mu sync.Mutex
	at map[pass]Place
}

func (p *places) of(list pass) Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at[list]
}

func (p *places) set(list pass, at Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == nil {
		p.at = map[pass]Place{}
	}
	p.at[list] = at
}

// next moves a list on behind a page of it, or to its beginning if there is no more.
func (p *places) next(list pass, page []suspect, limit int) {
	at := Place{}
	if len(page) == limit {
		at = page[len(page)-1].place
	}
	p.set(list, at)
}
