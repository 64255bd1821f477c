package audit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/stream"
)

// Observer is told what becomes of entries, for metrics.
type Observer interface {
	// Appended: entries were committed in one transaction, which took so long.
	Appended(entries int, took time.Duration)
	// Lost: entries were given up; the log holds them.
	Lost(entries int)
}

// Service keeps the trail.
type Service struct {
	store    store
	appender *stream.Appender[addition]
	observer Observer
	anchors  *Anchors // nil: nothing is anchored
	log      *slog.Logger
}

// addition is an entry on its way through the group commit.
type addition struct {
	tenant uuid.UUID
	id     uuid.UUID
	entry  Entry
}

// NewService makes the service. Its owner calls RunAppender. anchors may be nil.
func NewService(db *postgres.DB, observer Observer, anchors *Anchors, log *slog.Logger) *Service {
	s := &Service{store: store{db}, observer: observer, anchors: anchors, log: log}
	s.appender = stream.NewAppender(s.flush)
	return s
}

// RunAppender commits what is added until ctx ends, and then what is left, for at most five seconds.
func (s *Service) RunAppender(ctx context.Context) { s.appender.Run(ctx) }

// Append adds an entry; it is committed when Append returns nil. One whose key is known changes nothing.
// Errors: NotFound for a tenant that does not exist, Invalid for data that is no object, the context's.
// When the context ends first, or after a second with Unavailable, the entry is committed later all the
// same, unless this process ends: who adds it again loses and doubles nothing.
func (s *Service) Append(ctx context.Context, e Entry) error {
	ctx, stop := context.WithTimeoutCause(ctx, appendWait, fault.New(fault.Unavailable, "The audit trail cannot be written to now."))
	defer stop()
	ticket, err := s.add(ctx, e, s.appender.Add)
	if err != nil {
		return err
	}
	if err := ticket.Wait(ctx); ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

const appendWait = time.Second

// AddCall adds a call with the next group commit; the ticket says when it is committed. One that nobody
// waits for lets others go first, for a tenth of a second. While the database is away it is tried again
// and again. A call that cannot be kept is not lost without a trace: the log then holds it.
func (s *Service) AddCall(ctx context.Context, c Call, awaited bool) (*stream.Ticket, error) {
	e, err := c.entry()
	if err != nil {
		return nil, err
	}
	to := s.appender.AddLater
	if awaited {
		to = s.appender.Add
	}
	ticket, err := s.add(ctx, e, to)
	if err != nil {
		s.lost(ctx, err, addition{tenant: scope.Tenant(ctx), entry: e})
	}
	return ticket, err
}

func (s *Service) add(ctx context.Context, e Entry, to func(context.Context, addition) (*stream.Ticket, error)) (*stream.Ticket, error) {
	tenant := scope.Tenant(ctx)
	if tenant == uuid.Nil {
		return nil, fault.New(fault.Internal, "an audit entry was added without a tenant")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make an id: %w", err)
	}
	if e, err = e.normal(id); err != nil {
		return nil, err
	}
	return to(ctx, addition{tenant: tenant, id: id, entry: e})
}

// flush commits a batch of many tenants in one transaction and one round trip. A batch whose commit was
// not answered is sent again: what is in the trail already is known by its key.
func (s *Service) flush(ctx context.Context, batch []addition) error {
	began := time.Now()
	byTenant := map[uuid.UUID][]addition{}
	var order []uuid.UUID
	for _, a := range batch {
		if _, seen := byTenant[a.tenant]; !seen {
			order = append(order, a.tenant)
		}
		byTenant[a.tenant] = append(byTenant[a.tenant], a)
	}
	slices.SortFunc(order, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	err := s.store.commit(ctx, order, byTenant)
	if err != nil {
		// Otherwise the appender tries again, or one by one.
		if ctx.Err() != nil || len(batch) == 1 && !fault.Is(err, fault.Unavailable) {
			s.lost(ctx, err, batch...)
		}
		return fmt.Errorf("append %d audit entries: %w", len(batch), err)
	}
	s.observer.Appended(len(batch), time.Since(began))
	return nil
}

// lost writes entries that are given up into the log: it is the last place where they can be kept. They
// hold no secret.
func (s *Service) lost(ctx context.Context, cause error, batch ...addition) {
	s.observer.Lost(len(batch))
	for _, a := range batch {
		e := a.entry
		s.log.ErrorContext(ctx, "an audit entry could not be kept", "error", cause, "tenant_id", a.tenant, slog.Group("entry",
			"key", e.Key, "at", e.At.Time, "actor", e.Actor, "action", e.Action, "resource_type", e.ResourceType,
			"resource_id", e.ResourceID, "outcome", e.Outcome, "request_id", e.RequestID, "client_ip", e.ClientIP, "data", string(e.Data)))
	}
}
