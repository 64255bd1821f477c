package tenants

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/postgres"
)

const (
	writeUsesEvery = 10 * time.Second
	writeUsesLimit = 5 * time.Second
	maxUses        = 10_000 // of one writing: what comes on top is noted with the key's next use
)

// uses gathers which keys were used, so that no request waits for a write.
type uses struct {
	mu *sync.Mutex
	at map[uuid.UUID]time.Time
}

func newUses() uses { return uses{mu: &sync.Mutex{}, at: map[uuid.UUID]time.Time{}} }

// KeyUsed notes that a key was used. It never blocks; RunKeyUses writes it down.
func (s *Service) KeyUsed(key uuid.UUID, at time.Time) {
	s.uses.mu.Lock()
	defer s.uses.mu.Unlock()
	if _, noted := s.uses.at[key]; noted || len(s.uses.at) < maxUses {
		s.uses.at[key] = at
	}
}

// RunKeyUses writes down which keys were used, every ten seconds and once more when ctx has ended. A key's row
// is written at most once a minute, by whichever process comes first.
func (s *Service) RunKeyUses(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(writeUsesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
		if err := s.WriteKeyUses(context.WithoutCancel(ctx)); err != nil {
			log.WarnContext(ctx, "the last uses of API keys were not written", "error", err)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// WriteKeyUses writes down what KeyUsed has noted. What cannot be written is dropped: the keys' next uses are
// noted again.
func (s *Service) WriteKeyUses(ctx context.Context) error {
	s.uses.mu.Lock()
	ids, ats := make([]uuid.UUID, 0, len(s.uses.at)), make([]time.Time, 0, len(s.uses.at))
	for id, at := range s.uses.at {
		ids, ats = append(ids, id), append(ats, at)
	}
	clear(s.uses.at)
	s.uses.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	ctx, stop := context.WithTimeout(postgres.AsSystem(ctx), writeUsesLimit)
	defer stop()
	return s.store.writeUses(ctx, ids, ats)
}
