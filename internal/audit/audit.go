// Package audit keeps who did what, append-only.
package audit

import (
	"context"
	"encoding/json"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/postgres"
)

// Entry is one row of the trail; the tenant is the context's.
type Entry struct {
	Key          string // names the entry: the same fact told twice is one row
	At           clock.Time
	Actor        string
	Action       string
	ResourceType string
	ResourceID   string
	Outcome      string
	RequestID    string
	Data         json.RawMessage
}

// Service keeps the trail.
type Service struct {
	store store
}

// NewService makes the service.
func NewService(db *postgres.DB) *Service { return &Service{store{db}} }

// Append adds an entry; one whose key is known changes nothing.
func (s *Service) Append(ctx context.Context, e Entry) error { return s.store.insert(ctx, e) }
