package webhooks

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// Agents knows the tenant's agents.
type Agents interface {
	// ResolveAgent gives the id of an agent named by id or slug; fault.NotFound for none.
	ResolveAgent(ctx context.Context, ref string) (uuid.UUID, error)
}

// Auditor keeps what nobody asked for by a request: an endpoint that was disabled by itself. The entry is
// kept for good when it returns.
type Auditor interface {
	EndpointDisabled(ctx context.Context, endpoint uuid.UUID, at clock.Time, reason string) error
}

// Prober sends one message to an endpoint, as deliveries are sent.
type Prober interface {
	Probe(ctx context.Context, t Target) Probe
}

// Probe is how a test went.
type Probe struct {
	Delivered  bool       `json:"delivered" description:"The receiver answered 2xx."`
	At         clock.Time `json:"at"`
	DurationMS int64      `json:"duration_ms"`
	StatusCode *int       `json:"status_code" description:"Of the receiver's answer; null: there was none."`
	Error      string     `json:"error" description:"Why it was not delivered; empty otherwise."`
	Response   string     `json:"response" description:"The beginning of the answer's body."`
}

// Deps is what the service works with.
type Deps struct {
	DB       *postgres.DB
	Agents   Agents
	Auditor  Auditor
	Prober   Prober
	CheckURL func(raw string) error // whether anything may be sent there
	Logger   *slog.Logger
	// FailingFor is how long an endpoint may fail without a success before it is disabled; zero: three days.
	FailingFor time.Duration
}

// failingFor is the default of Deps.FailingFor: as long as a delivery is tried.
const failingFor = 72 * time.Hour

// Service keeps endpoints. Each method acts for the tenant of the context.
type Service struct {
	Deps
	store store
}

// NewService makes the service.
func NewService(d Deps) *Service {
	d.FailingFor = cmp.Or(d.FailingFor, failingFor)
	return &Service{Deps: d, store: store{d.DB}}
}

// Find gives an endpoint; fault.NotFound for none, or a deleted one.
func (s *Service) Find(ctx context.Context, id uuid.UUID) (Endpoint, error) {
	return s.store.find(ctx, id)
}

// FindAll lists endpoints, the newest first.
func (s *Service) FindAll(ctx context.Context, p page.Request) (page.Page[Endpoint], error) {
	limit, before, err := p.StartBefore()
	if err != nil {
		return page.Page[Endpoint]{}, err
	}
	found, err := s.store.list(ctx, before, limit+1)
	return page.Of(found, limit, func(e Endpoint) string { return e.ID.String() }), err
}

// Create registers a receiver and gives its secret. For a NewEndpoint whose id is known it gives the
// endpoint that exists, and the secret of its creation while that still signs ("" afterwards). More than
// MaxEndpoints are fault.Conflict, a destination that is not allowed fault.Forbidden.
func (s *Service) Create(ctx context.Context, n NewEndpoint) (e Endpoint, secret string, err error) {
	r, err := s.build(ctx, n)
	if err != nil {
		return Endpoint{}, "", err
	}
	err = s.DB.Tx(ctx, func(ctx context.Context) error {
		created, others, err := s.store.insert(ctx, r)
		switch {
		case err != nil:
			return err
		case created && others >= MaxEndpoints:
			return fault.New(fault.Conflict, "The tenant has %d webhooks, which is the limit: delete one first.", others)
		case created:
			return s.store.insertSecret(ctx, r.ID, r.ID, newSecret(), r.at)
		}
		return nil
	})
	if err != nil {
		return Endpoint{}, "", err
	}
	return s.withSecret(ctx, r.ID, r.ID) // the first secret has the endpoint's own id
}

func (s *Service) withSecret(ctx context.Context, endpoint, secret uuid.UUID) (Endpoint, string, error) {
	value, err := s.store.secret(ctx, endpoint, secret)
	if err != nil {
		return Endpoint{}, "", err
	}
	e, err := s.store.find(ctx, endpoint)
	if err != nil {
		return Endpoint{}, "", err
	}
	return e, value, nil
}

// record is an endpoint's row, with the values of its headers.
type record struct {
	Endpoint
	headers map[string]string // nil: as they are
	at      clock.Time
}

func (s *Service) build(ctx context.Context, n NewEndpoint) (r record, err error) {
	caller := scope.From(ctx)
	r = record{Endpoint: Endpoint{ID: n.ID, TenantID: caller.Tenant, CreatedBy: caller.Actor}, headers: map[string]string{}, at: clock.Now()}
	if r.ID == uuid.Nil {
		r.ID = uuid.Must(uuid.NewV7())
	}
	agent := cmp.Or(n.Agent, everything)
	u := Update{URL: &n.URL, Description: &n.Description, Events: n.Events, Agent: &agent, Fields: n.Fields, Headers: n.Headers}
	return r, s.apply(ctx, &r, u)
}

// apply changes a row; what is absent stays.
func (s *Service) apply(ctx context.Context, r *record, u Update) (err error) {
	if u.URL != nil && *u.URL != r.URL {
		if err := s.checkURL(*u.URL); err != nil {
			return err
		}
		r.URL, r.FailingSince = *u.URL, nil // what another receiver did says nothing of this one
	}
	if u.Description != nil {
		r.Description = *u.Description
	}
	if u.Events != nil || r.Events == nil {
		if r.Events, err = eventsOf(u.Events); err != nil {
			return err
		}
	}
	if u.Fields != nil {
		if r.Fields, err = fieldsOf(u.Fields); err != nil {
			return err
		}
	}
	if u.Headers != nil {
		if err := checkHeaders(u.Headers); err != nil {
			return err
		}
		r.headers = u.Headers
	}
	if u.Agent == nil {
		return nil
	}
	r.AgentID = nil
	if *u.Agent != everything {
		id, err := s.Agents.ResolveAgent(ctx, *u.Agent)
		if fault.Is(err, fault.NotFound) { // what the path names is there
			return fault.InvalidField("agent", "exists", "names no agent of this tenant")
		}
		if err != nil {
			return err
		}
		r.AgentID = &id
	}
	return nil
}

// Update changes an endpoint.
func (s *Service) Update(ctx context.Context, id uuid.UUID, u Update) (e Endpoint, err error) {
	err = s.DB.Tx(ctx, func(ctx context.Context) error {
		r, err := s.store.lock(ctx, id)
		if err != nil {
			return err
		}
		r.at = clock.Now()
		if err := s.apply(ctx, &r, u); err != nil {
			return err
		}
		return s.store.update(ctx, r)
	})
	if err != nil {
		return Endpoint{}, err
	}
	return s.store.find(ctx, id)
}

// Delete removes an endpoint with its secrets. What is under way to it is refused.
func (s *Service) Delete(ctx context.Context, id uuid.UUID) error {
	return s.store.delete(ctx, id, clock.Now())
}

// Enable lets an endpoint be told again. What it missed meanwhile stays missed; its log can redeliver.
func (s *Service) Enable(ctx context.Context, id uuid.UUID) (Endpoint, error) {
	if err := s.store.enable(ctx, id, clock.Now()); err != nil {
		return Endpoint{}, err
	}
	return s.store.find(ctx, id)
}

// Disable ends deliveries to an endpoint until it is enabled.
func (s *Service) Disable(ctx context.Context, id uuid.UUID) (Endpoint, error) {
	if _, err := s.store.disable(ctx, id, clock.Now(), "It was disabled by "+scope.From(ctx).Actor+"."); err != nil {
		return Endpoint{}, err
	}
	return s.store.find(ctx, id)
}

// CheckEnabled is fault.Conflict for an endpoint that is not sent anything.
func (s *Service) CheckEnabled(ctx context.Context, id uuid.UUID) error {
	e, err := s.store.find(ctx, id)
	if err == nil && e.Status != Enabled {
		err = fault.New(fault.Conflict, "The webhook is disabled: enable it first.")
	}
	return err
}

// RotateSecret gives an endpoint a new secret. The old ones sign beside it until their overlap is over.
// For a Rotation whose id is known it gives the secret that exists. More than MaxSecrets that sign at a
// time are fault.Conflict.
func (s *Service) RotateSecret(ctx context.Context, id uuid.UUID, r Rotation) (Endpoint, string, error) {
	if r.ID == uuid.Nil {
		r.ID = uuid.Must(uuid.NewV7())
	}
	err := s.DB.Tx(ctx, func(ctx context.Context) error {
		known, live, err := s.store.lockSecrets(ctx, id, r.ID)
		switch {
		case err != nil || known:
			return err
		case live >= MaxSecrets && r.overlap() > 0:
			return fault.New(fault.Conflict, "%d secrets sign already: wait until one has expired, or rotate with overlap_seconds 0, which ends them all.", live)
		}
		at := clock.Now()
		if err := s.store.expireSecrets(ctx, id, at, r.overlap()); err != nil {
			return err
		}
		return s.store.insertSecret(ctx, id, r.ID, newSecret(), at)
	})
	if err != nil {
		return Endpoint{}, "", err
	}
	return s.withSecret(ctx, id, r.ID)
}

// Test sends one signed message to the endpoint, also to a disabled one, and says how that went.
func (s *Service) Test(ctx context.Context, id uuid.UUID) (Probe, error) {
	t, err := s.store.target(ctx, id)
	if err != nil {
		return Probe{}, err
	}
	return s.Prober.Probe(ctx, t), nil
}

func (s *Service) checkURL(raw string) error {
	if err := s.CheckURL(raw); err != nil {
		return err
	}
	return checkForm(raw)
}
