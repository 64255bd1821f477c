package deliveries

import (
	"context"
	"log/slog"
	"slices"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
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

// Listener is an endpoint of the tenant that is told of events.
type Listener struct {
	ID      uuid.UUID
	Events  []string
	AgentID *uuid.UUID // of the runs whose events it is told; nil: of all
}

// wants reports whether the listener is told of events of this type of the agent's runs.
func (l Listener) wants(t event.Type, agent uuid.UUID) bool {
	return slices.Contains(l.Events, string(t)) && (l.AgentID == nil || *l.AgentID == agent)
}

// Listeners gives the statement that reads the tenant's endpoints.
func (s *Service) Listeners(tenant uuid.UUID, found *[]Listener) postgres.Statement {
	return listenersStatement(tenant, found)
}

// Post gives the statement that puts events of a run into the outbox, for the connectors that they name and
// for the listeners that want them. It follows the append of the events in their transaction; posted is
// called after the commit. A delivery that is there already stays as it is. ok is false when there is none.
func (s *Service) Post(tenant, run, agent uuid.UUID, postings []Posting, listeners []Listener) (statement postgres.Statement, posted func(), ok bool) {
	var rows []outgoing
	for _, p := range postings {
		for _, name := range p.Connectors {
			rows = append(rows, outgoing{p, name, nil})
		}
		for _, l := range listeners {
			if l.wants(p.Type, agent) {
				rows = append(rows, outgoing{p, Endpoints, &l.ID})
			}
		}
	}
	if len(rows) == 0 {
		return postgres.Statement{}, nil, false
	}
	var keys []Key
	return postStatement(tenant, run, rows, &keys), func() { s.courier.offer(keys) }, true
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
