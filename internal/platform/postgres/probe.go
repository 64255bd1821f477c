package postgres

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

// Probe sends notifications through the pool to a Listener of the same process, and so shows that both lead to the
// same database and that the Listener's session lives.
type Probe struct {
	channel string

	mu      sync.Mutex
	waiting map[string]chan struct{} // by payload; closed when it is heard
}

// NewProbe makes a probe; a Listener takes it.
func NewProbe() *Probe {
	return &Probe{channel: "lari_probe_" + rand.Text(), waiting: map[string]chan struct{}{}}
}

// RoundTrip returns when the Listener has heard a notification; Unavailable when ctx ends before.
func (p *Probe) RoundTrip(ctx context.Context, db *DB) error {
	payload, heard := rand.Text(), make(chan struct{})
	p.mu.Lock()
	p.waiting[payload] = heard
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiting, payload)
	}()
	if _, err := db.Exec(AsSystem(ctx), `select pg_notify($1, $2)`, p.channel, payload); err != nil {
		return err
	}
	select {
	case <-heard:
		return nil
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Unavailable, "A notification did not come back in time: the connection of DATABASE_DIRECT_URL is being made anew, "+
			"or it does not lead to the database of DATABASE_URL, or leads through a transaction pooler.")
	}
}

func (p *Probe) heard(payload string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if heard, ok := p.waiting[payload]; ok {
		close(heard)
		delete(p.waiting, payload)
	}
}

// CheckTenant runs a transaction of two statements on behalf of a tenant that does not exist, as every request does
// for its own, and reports whether both see the role and the claims of that tenant.
func (db *DB) CheckTenant(ctx context.Context) error {
	ctx = AsTenant(scope.With(ctx, scope.Scope{Tenant: uuid.Max, Actor: "system"}))
	return db.Tx(ctx, func(ctx context.Context) error {
		for range 2 {
			own, _, err := One(ctx, db, `select coalesce(current_user = $1 and lari.tenant_id() = $2, false)`, []any{roleOfTenants, uuid.Max}, pgx.RowTo[bool])
			if err != nil {
				return err
			}
			if !own {
				return fault.New(fault.Unavailable, "A transaction does not keep its tenant.")
			}
		}
		return nil
	})
}
