package connectors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/tracing"
)

// Delivery is an event on its way to a connector, by ids: the event itself stays in the log.
type Delivery struct {
	TenantID  uuid.UUID `json:"tenant_id"`
	RunID     uuid.UUID `json:"run_id"`
	Seq       int64     `json:"seq"`
	Connector string    `json:"connector"`
	Target    string    `json:"target,omitempty"` // which of the connector's receivers; "" when it has one
	Round     int       `json:"round,omitempty"`  // counts from 1 (0 is 1): each time that it is to be made once more
}

// Deliverer takes a delivery over for good: once it has returned nil the delivery survives everything.
// The same delivery twice is one.
type Deliverer interface {
	Deliver(ctx context.Context, d Delivery) error
}

// Observer is told of attempts, for metrics.
type Observer interface {
	Attempted(connector string, e Event, took time.Duration, err error)
}

// Registry holds the connectors of a process, in the order in which they were registered.
type Registry struct {
	deliverer  Deliverer
	observer   Observer
	log        *slog.Logger
	connectors []RuntimeConnector
	byName     map[string]RuntimeConnector
}

// NewRegistry makes an empty registry.
func NewRegistry(deliverer Deliverer, observer Observer, log *slog.Logger) *Registry {
	return &Registry{deliverer: deliverer, observer: observer, log: log, byName: map[string]RuntimeConnector{}}
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// RegisterConnector adds a connector. It is called while the process is put together, before the first
// event; a bad or taken name is an error.
func (r *Registry) RegisterConnector(c RuntimeConnector) error {
	name := c.Name()
	if !validName.MatchString(name) {
		return fmt.Errorf("connector name %q does not match %s", name, validName)
	}
	if _, taken := r.byName[name]; taken {
		return fmt.Errorf("a connector named %q is registered already", name)
	}
	r.byName[name] = c
	r.connectors = append(r.connectors, c)
	return nil
}

// Remote names the connectors that are to be told of the event by deliveries of their own: whoever records
// the event puts these into the outbox with it.
func (r *Registry) Remote(e Event) []string {
	var names []string
	for _, c := range r.connectors {
		if mode, wants := declared(c, e); mode == Remote && wants {
			names = append(names, c.Name())
		}
	}
	return names
}

// Inline reports whether Announce would tell any connector of the event.
func (r *Registry) Inline(e Event) bool {
	return slices.ContainsFunc(r.connectors, func(c RuntimeConnector) bool {
		mode, wants := declared(c, e)
		return mode == Inline && wants
	})
}

// Announce tells every inline connector that wants the event, each for at most InlineLimit; one that failed
// is handed to the deliverer. An error means that this could not be done: the caller announces again.
func (r *Registry) Announce(ctx context.Context, e Event) error {
	var failed []error
	for _, c := range r.connectors {
		mode, wants := declared(c, e)
		if mode != Inline || !wants {
			continue
		}
		err := r.attempt(ctx, c, e, InlineLimit)
		if err == nil {
			continue
		}
		r.log.WarnContext(ctx, "an inline connector failed, its event will be delivered later",
			"connector", c.Name(), "run_id", e.RunID, "type", e.Type, "error", err)
		if err := r.deliverer.Deliver(ctx, Delivery{TenantID: e.TenantID, RunID: e.RunID, Seq: e.Seq, Connector: c.Name()}); err != nil {
			failed = append(failed, fmt.Errorf("hand over %s to %s: %w", e.Type, c.Name(), err))
		}
	}
	return errors.Join(failed...)
}

// ErrUnknownConnector is given for a delivery to a connector that is not registered in this process.
var ErrUnknownConnector = errors.New("no connector of that name is registered")

// Attempt tells one connector of the event, for at most limit.
func (r *Registry) Attempt(ctx context.Context, connector string, e Event, limit time.Duration) error {
	c, ok := r.byName[connector]
	if !ok {
		return fmt.Errorf("%w: %s", ErrUnknownConnector, connector)
	}
	return r.attempt(ctx, c, e, limit)
}

func (r *Registry) attempt(ctx context.Context, c RuntimeConnector, e Event, limit time.Duration) error {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	e.TraceID = tracing.Sampled(ctx)
	began := time.Now()
	err := Call(ctx, c, e)
	r.observer.Attempted(c.Name(), e, time.Since(began), err)
	return err
}

func declared(c RuntimeConnector, e Event) (Mode, bool) {
	d, ok := c.(Declarer)
	if !ok {
		return Remote, true
	}
	return d.Mode(), d.Wants(e)
}
