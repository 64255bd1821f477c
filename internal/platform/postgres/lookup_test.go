package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// gate is a lookup that waits in the server for as long as a test holds the gate.
const gate = `select text from notes where id = $1 and (select pg_advisory_xact_lock_shared(42))::text is not null`

// rig is a pool behind a proxy, with one note of each tenant.
type rig struct {
	*pgtest.Database
	db      *postgres.DB
	proxy   *proxy
	super   *pgx.Conn
	tenants []context.Context
}

func newRig(t *testing.T, pooled bool) *rig {
	t.Helper()
	d := notes(t)
	p, url := newProxy(t, d.URL)
	r := &rig{Database: d, db: d.Open(t, postgres.Config{URL: url, MaxConns: 8, Pooled: pooled}), proxy: p, super: d.Conn(t)}
	for i := range 4 {
		ctx, _ := d.Tenant(t, fmt.Sprint("tenant-", i))
		r.tenants = append(r.tenants, ctx)
		do(ctx, t, d.DB, `insert into notes (id, text) values ($1, $2)`, i, fmt.Sprint("note ", i))
	}
	return r
}

// crowd lets lookups gather behind the gate, at least so many; look is one of them, the i-th. The function that
// it gives opens the gate and waits for their ends.
func (r *rig) crowd(t *testing.T, n int, look func(i int)) (open func()) {
	t.Helper()
	run(t, r.super, `select pg_advisory_lock(42)`)
	unlock := sync.OnceFunc(func() { _, _ = r.super.Exec(context.WithoutCancel(t.Context()), `select pg_advisory_unlock(42)`) })
	t.Cleanup(unlock)
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	i := 0
	start := func() { mine := i; i++; all.Go(func() { look(mine) }) }
	wait(t, "half the connections are out", func() bool { start(); return r.db.Stat().AcquiredConns() == 4 })
	for range n {
		start()
	}
	wait(t, "the lookups gather", func() bool { return r.db.WaitingLookups() >= n })
	if out := r.db.Stat().AcquiredConns(); out != 4 {
		t.Errorf("%d of 8 connections are used by lookups, want half", out)
	}
	return func() { unlock(); all.Wait() }
}

// wait polls until what is awaited is so.
func wait(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it never came that %s", what)
		}
	}
}

func text(ctx context.Context, db *postgres.DB, sql string, id int) (string, bool, error) {
	return postgres.Lookup(ctx, db, sql, []any{id}, pgx.RowTo[string])
}

// Lookups that find the connections busy share a round trip, and each of them still sees the rows of its tenant only.
func TestLookupsAreSentTogether(t *testing.T) {
	t.Parallel()
	for _, pooled := range []bool{false, true} {
		r := newRig(t, pooled)
		open := r.crowd(t, 100, func(i int) {
			reader, note := i%4, i/4%4
			got, ok, err := text(r.tenants[reader], r.db, gate, note)
			if want := fmt.Sprint("note ", note); err != nil || ok != (reader == note) || ok && got != want {
				t.Errorf("tenant %d read %q of note %d (found: %v, error %v)", reader, got, note, ok, err)
			}
		})
		before := r.proxy.trips.Load()
		open()
		if trips := r.proxy.trips.Load() - before; trips > 20 { // four at least; some connections meet a statement for the first time
			t.Errorf("pooled: %v: 100 lookups took %d round trips", pooled, trips)
		}
	}
}

// What fails fails for the one who asked for it.
func TestALookupThatFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, false)
	r.crowd(t, 60, func(i int) {
		if i%20 == 19 {
			if _, _, err := text(r.tenants[0], r.db, `select (1 / $1)::text`, 0); err == nil {
				t.Error("a division by zero was answered")
			}
			return
		}
		if got, ok, err := text(r.tenants[i%4], r.db, gate, i%4); err != nil || !ok || got != fmt.Sprint("note ", i%4) {
			t.Errorf("a lookup beside one that fails gave %q, %v, %v", got, ok, err)
		}
	})()
	if n := r.db.WaitingLookups(); n != 0 {
		t.Errorf("%d lookups are left behind", n)
	}
}

// Who leaves gets an error at once, and takes nothing away from the others.
func TestACallerWhoLeaves(t *testing.T) {
	t.Parallel()
	r := newRig(t, false)
	leaving, leave := context.WithCancel(r.tenants[0])
	var left atomic.Int64
	open := r.crowd(t, 40, func(i int) {
		if i%2 == 0 {
			// Who is out at the moment may be told so only when he is back, and then with the answer.
			if got, _, err := text(leaving, r.db, gate, 0); err == nil && got != "note 0" || err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("a caller who left got %q, %v", got, err)
			}
			left.Add(1)
			return
		}
		if got, _, err := text(r.tenants[1], r.db, gate, 1); err != nil || got != "note 1" {
			t.Errorf("a caller who stayed got %q, %v", got, err)
		}
	})
	leave()
	wait(t, "who waited has left", func() bool { return left.Load() >= 20 })
	open()
	wait(t, "all connections are free", func() bool { return r.db.Stat().AcquiredConns() == 0 })
}

// The system's lookups and those of a transaction go by themselves.
func TestWhoseLookupsAreNotGathered(t *testing.T) {
	t.Parallel()
	r := newRig(t, false)
	if got, _, err := postgres.Lookup(postgres.AsSystem(r.tenants[0]), r.db, whoami, nil, pgx.RowTo[string]); err != nil || got != "service_role - true" {
		t.Errorf("the system looked up as %q, %v", got, err)
	}
	err := r.db.Tx(r.tenants[2], func(ctx context.Context) error {
		do(ctx, t, r.db, `update notes set text = 'changed'`)
		if got, _, err := text(ctx, r.db, `select text from notes where id = $1`, 2); err != nil || got != "changed" {
			t.Errorf("within the transaction the note is %q, %v", got, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	_, _, err = text(t.Context(), r.db, gate, 1)
	wantCode(t, err, fault.Internal)
}

// Lookups that meet a database that is gone say so, and work again when it is back.
func TestLookupsWithoutADatabase(t *testing.T) {
	t.Parallel()
	r := newRig(t, false)
	var ended sync.WaitGroup
	ended.Add(40)
	open := r.crowd(t, 40, func(i int) {
		if i < 40 {
			defer ended.Done()
		}
		_, _, err := text(r.tenants[0], r.db, gate, 0)
		wantUnavailable(t, "a lookup while the database goes", err)
	})
	r.proxy.down()
	ended.Wait() // while the gate is closed
	open()
	r.proxy.up()
	wait(t, "lookups work again", func() bool {
		got, _, err := text(r.tenants[0], r.db, gate, 0)
		return err == nil && got == "note 0"
	})
}
