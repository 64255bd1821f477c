package threads

import (
	"context"
	"strconv"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/metadata"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// Service is what can be done with threads, for the tenant of the context.
type Service struct {
	// InUse returns fault.Conflict when something names the thread that would be worse off without it. It is set
	// before the service is used; nil: nothing does.
	InUse func(ctx context.Context, thread uuid.UUID) error
	db    *postgres.DB
	store store
}

// NewService makes the service.
func NewService(db *postgres.DB) *Service { return &Service{db: db, store: store{db}} }

const maxHistory = 400 // messages shown to a model: the latest

func now() clock.Time { return clock.Now() }

// FindThread gives a thread; fault.NotFound when the tenant has none of that id.
func (s *Service) FindThread(ctx context.Context, id uuid.UUID) (Thread, error) {
	return s.store.find(ctx, id)
}

// FindThreads lists threads, the newest first.
func (s *Service) FindThreads(ctx context.Context, p page.Request) (page.Page[Thread], error) {
	limit, before, err := p.StartBefore()
	if err != nil {
		return page.Page[Thread]{}, err
	}
	found, err := s.store.list(ctx, before, limit+1)
	return page.Of(found, limit, func(t Thread) string { return t.ID.String() }), err
}

// CreateThread makes a thread. A NewThread whose id is known gives the thread that exists.
func (s *Service) CreateThread(ctx context.Context, n NewThread) (Thread, error) {
	stored, err := metadata.Encode(n.Metadata)
	if err != nil {
		return Thread{}, err
	}
	if n.ID == uuid.Nil {
		n.ID = uuid.Must(uuid.NewV7())
	}
	at := now()
	t := Thread{ID: n.ID, TenantID: scope.Tenant(ctx), Title: n.Title, Metadata: stored, CreatedAt: at, UpdatedAt: at}
	created, err := s.store.insert(ctx, t)
	if err != nil || created {
		return t, err
	}
	return s.store.find(ctx, t.ID)
}

// UpdateThread changes a thread's title or metadata.
func (s *Service) UpdateThread(ctx context.Context, id uuid.UUID, u Update) (t Thread, err error) {
	err = s.db.Tx(ctx, func(ctx context.Context) error {
		if t, err = s.store.lock(ctx, id); err != nil {
			return err
		}
		if u.Title != nil {
			t.Title = *u.Title
		}
		if u.Metadata != nil {
			if t.Metadata, err = metadata.Encode(u.Metadata); err != nil {
				return err
			}
		}
		t.UpdatedAt = now()
		return s.store.update(ctx, t)
	})
	return t, err
}

// DeleteThread removes a thread and its messages. Its runs stay, without a thread. While a run is
// active on it, it is refused with fault.ThreadBusy; one that is in use with fault.Conflict, unless that is to be no
// matter (force).
func (s *Service) DeleteThread(ctx context.Context, id uuid.UUID, force bool) error {
	return s.db.Tx(ctx, func(ctx context.Context) error {
		if _, err := s.store.lock(ctx, id); err != nil {
			return err
		}
		if s.InUse != nil && !force {
			if err := s.InUse(ctx, id); err != nil {
				return err
			}
		}
		return s.store.delete(ctx, id)
	})
}

// CopyThread makes a new thread with the messages of another one up to a position. A Copy whose id is known
// gives the thread that exists.
func (s *Service) CopyThread(ctx context.Context, id uuid.UUID, c Copy) (t Thread, err error) {
	if c.ID == uuid.Nil {
		c.ID = uuid.Must(uuid.NewV7())
	}
	err = s.db.Tx(ctx, func(ctx context.Context) error {
		of, err := s.store.lock(ctx, id)
		if err != nil {
			return err
		}
		until := of.MessageCount
		if c.Until != nil {
			until = *c.Until
		}
		if until > of.MessageCount {
			return fault.InvalidField("until", "max", "must be at most %d, the number of the thread's messages", of.MessageCount)
		}
		at := now()
		t = Thread{ID: c.ID, TenantID: of.TenantID, Title: of.Title, Metadata: of.Metadata, MessageCount: until, CreatedAt: at, UpdatedAt: at}
		if c.Title != nil {
			t.Title = *c.Title
		}
		created, err := s.store.insert(ctx, t)
		if err != nil {
			return err
		}
		if !created {
			t, err = s.store.find(ctx, c.ID)
			return err
		}
		return s.store.copyMessages(ctx, id, t.ID, until)
	})
	return t, err
}

// FindMessages lists a thread's messages, the oldest first.
func (s *Service) FindMessages(ctx context.Context, id uuid.UUID, p page.Request) (page.Page[Message], error) {
	limit, after, err := p.StartNumber()
	if err != nil {
		return page.Page[Message]{}, err
	}
	if _, err := s.store.find(ctx, id); err != nil {
		return page.Page[Message]{}, err
	}
	found, err := s.store.messages(ctx, id, after, limit+1)
	return page.Of(found, limit, func(m Message) string { return strconv.Itoa(m.Position) }), err
}

// History gives what was said on a thread before a run: the latest messages, the oldest first.
func (s *Service) History(ctx context.Context, id, before uuid.UUID) ([]Message, error) {
	return s.store.history(ctx, id, before, maxHistory)
}

// Append adds messages at the end of a thread, in the caller's transaction if there is one. Writers of
// one thread wait for each other: positions have no holes.
func (s *Service) Append(ctx context.Context, id uuid.UUID, messages ...NewMessage) error {
	return s.db.Tx(ctx, func(ctx context.Context) error {
		found, err := s.store.append(ctx, id, messages, now())
		if err == nil && !found {
			err = missing(id)
		}
		return err
	})
}

// Withdraw takes back the messages of a run, if nothing was said on the thread after them.
func (s *Service) Withdraw(ctx context.Context, id, run uuid.UUID) error {
	return s.db.Tx(ctx, func(ctx context.Context) error { return s.store.withdraw(ctx, id, run) })
}

func missing(id uuid.UUID) error { return fault.New(fault.NotFound, "There is no thread %s.", id) }
