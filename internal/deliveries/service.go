package deliveries

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres"
)

// Engine makes deliveries durably. Deliver may be called again for the same one.
type Engine interface {
	Deliver(ctx context.Context, k Key) error
}

// Service keeps deliveries. Each method acts for the tenant of the context.
type Service struct {
	store   store
	courier *courier
}

// NewService makes the service.
func NewService(db *postgres.DB, engine Engine, log *slog.Logger) *Service {
	s := store{db}
	return &Service{store: s, courier: newCourier(s, engine, log)}
}

// Post gives the statement that puts events of a run into the outbox: for the tenant's endpoints that want
// them, if endpoints is set, and for the named connectors. It follows the append of the events in their
// transaction; posted is called after the commit. A delivery that is there already stays as it is.
func (s *Service) Post(tenant, run uuid.UUID, postings []Posting, endpoints bool) (statement postgres.Statement, posted func()) {
	var keys []Key
	return postStatement(tenant, run, postings, endpoints, &keys), func() { s.courier.offer(keys) }
}

// RunCourier hands what was posted to the engine until ctx ends; also what other processes posted and did
// not hand over.
func (s *Service) RunCourier(ctx context.Context) { s.courier.run(ctx) }

// Begin gives the delivery that is about to be tried; one that nobody posted is made.
func (s *Service) Begin(ctx context.Context, k Key, typ string) (Delivery, error) {
	return s.store.begin(ctx, k, typ)
}

// Record keeps an attempt and what it led to. The engine calls it once per attempt, or again after a lost
// answer: then the attempt may be kept twice.
func (s *Service) Record(ctx context.Context, k Key, a Attempt, led Status) error {
	return s.store.record(ctx, k, a, led)
}

// GiveUp ends a delivery that has been tried for long enough.
func (s *Service) GiveUp(ctx context.Context, k Key) error { return s.store.giveUp(ctx, k) }

// Filter selects deliveries.
type Filter struct {
	EndpointID uuid.UUID
	Status     []Status
	RunID      *uuid.UUID
}

// FindAll gives a page of deliveries to an endpoint, the newest first.
func (s *Service) FindAll(ctx context.Context, f Filter, p page.Request) (page.Page[Delivery], error) {
	limit, before, err := p.StartBefore()
	if err != nil {
		return page.Page[Delivery]{}, err
	}
	found, err := s.store.list(ctx, f, before, limit+1)
	if err != nil {
		return page.Page[Delivery]{}, err
	}
	return page.Of(found, limit, func(d Delivery) string { return d.ID.String() }), nil
}

// Find gives a delivery to an endpoint with its attempts; fault.NotFound when there is none.
func (s *Service) Find(ctx context.Context, endpoint, id uuid.UUID) (Delivery, []Attempt, error) {
	return s.store.find(ctx, endpoint, id)
}

// Redeliver makes a finished delivery to an endpoint once more. fault.Conflict when it is still tried.
func (s *Service) Redeliver(ctx context.Context, endpoint, id uuid.UUID) (Delivery, error) {
	d, reopened, err := s.store.reopen(ctx, endpoint, id)
	if err != nil {
		return Delivery{}, err
	}
	if !reopened {
		return Delivery{}, fault.New(fault.Conflict, "The delivery is still being tried.")
	}
	s.courier.offer([]Key{d.Key()})
	return d, nil
}
