package runs

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
)

// Filter narrows a list of runs; zero fields do not.
type Filter struct {
	Status        []Status
	AgentID       *uuid.UUID
	ThreadID      *uuid.UUID
	ScheduleID    *uuid.UUID
	WorkspaceID   *uuid.UUID
	CreatedAfter  *time.Time // from, inclusive
	CreatedBefore *time.Time // to, exclusive
}

// check refuses a span that ends before it begins.
func (f Filter) check() error {
	if f.CreatedAfter != nil && f.CreatedBefore != nil && !f.CreatedBefore.After(*f.CreatedAfter) {
		return fault.InvalidField("created_before", "gtfield", "must be after created_after")
	}
	return nil
}

// FindAll gives the tenant's runs as callers see them (see Shown), newest first.
func (s *Service) FindAll(ctx context.Context, f Filter, p page.Request) (page.Page[Run], error) {
	limit, before, err := p.StartBefore()
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return page.Page[Run]{}, err
	}
	found, err := s.store.list(ctx, f, before, limit+1)
	if err != nil {
		return page.Page[Run]{}, err
	}
	return page.Of(found, limit, func(r Run) string { return r.ID.String() }), nil
}
