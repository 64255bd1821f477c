package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/larirun/lari/internal/platform/postgres"
)

// sharedPool is a pool of eight connections and tenants whose statements end when the test says so.
type sharedPool struct {
	db   *postgres.DB
	open func()
	all  sync.WaitGroup
}

func newSharedPool(t *testing.T) (p *sharedPool, tenants []context.Context) {
	t.Helper()
	d := notes(t)
	p = &sharedPool{db: d.Open(t, postgres.Config{URL: d.URL, MaxConns: 8})}
	super := d.Conn(t)
	run(t, super, `select pg_advisory_lock(42)`)
	p.open = sync.OnceFunc(func() { _, _ = super.Exec(context.WithoutCancel(t.Context()), `select pg_advisory_unlock(42)`) })
	t.Cleanup(p.all.Wait)
	t.Cleanup(p.open)
	for _, slug := range []string{"flood", "other-flood", "quiet"} {
		ctx, _ := d.Tenant(t, slug)
		tenants = append(tenants, ctx)
	}
	return p, tenants
}

// hold begins statements of a tenant that wait until the pool is opened.
func (p *sharedPool) hold(tenant context.Context, t *testing.T, n int) {
	t.Helper()
	for range n {
		p.all.Go(func() {
			err := p.db.Tx(tenant, func(ctx context.Context) error {
				_, err := p.db.Exec(ctx, `select pg_advisory_xact_lock_shared(42)`)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// However many statements a tenant begins, others find a connection.
func TestDB_KeepsConnectionsForOtherTenants(t *testing.T) {
	t.Parallel()
	p, tenants := newSharedPool(t)
	p.hold(tenants[0], t, 30)
	wait(t, "the flood has its share", func() bool { return p.db.Stat().AcquiredConns() == 4 })
	for range 20 { // while the flood waits
		if n := value[int](tenants[2], t, p.db, `select 1`); n != 1 {
			t.Errorf("it reads %d", n)
		}
	}
	if n := p.db.Stat().AcquiredConns(); n != 4 {
		t.Errorf("the flood has %d of 8 connections", n)
	}
	// Also where the caller gives up: its place is another's.
	gone, cancel := context.WithCancel(tenants[0])
	cancel()
	if _, err := p.db.Exec(gone, `select 1`); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has left gets %v", err)
	}
	p.open()
	p.all.Wait()
	if s := p.db.Stat(); s.AcquiredConns() != 0 || s.EmptyAcquireCount() < 26 || s.CanceledAcquireCount() != 1 {
		t.Errorf("%d connections are out, %d waited, %d left", s.AcquiredConns(), s.EmptyAcquireCount(), s.CanceledAcquireCount())
	}
}
