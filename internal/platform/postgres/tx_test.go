package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

const insertNote = `insert into notes (id, text) values ($1, 'x')`

var errRefused = errors.New("refused by the rule")

func TestTxIsAllOrNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fn   func(ctx context.Context, db *postgres.DB) error
		want int // notes afterwards
		fail bool
	}{
		"nothing done": {func(context.Context, *postgres.DB) error { return nil }, 0, false},
		"two statements": {func(ctx context.Context, db *postgres.DB) error {
			_, err := db.Exec(ctx, insertNote, 1)
			_, err2 := db.Exec(ctx, insertNote, 2)
			return errors.Join(err, err2)
		}, 2, false},
		"an error after a statement": {func(ctx context.Context, db *postgres.DB) error {
			_, err := db.Exec(ctx, insertNote, 1)
			return errors.Join(err, errRefused)
		}, 0, true},
		"a nested one joins": {func(ctx context.Context, db *postgres.DB) error {
			return db.Tx(ctx, func(ctx context.Context) error { _, err := db.Exec(ctx, insertNote, 1); return err })
		}, 1, false},
		"what a nested one did is undone with it": {func(ctx context.Context, db *postgres.DB) error {
			err := db.Tx(ctx, func(ctx context.Context) error { _, err := db.Exec(ctx, insertNote, 1); return err })
			return errors.Join(err, errRefused)
		}, 0, true},
		"a failed statement whose error is dropped": {func(ctx context.Context, db *postgres.DB) error {
			_, err := db.Exec(ctx, insertNote, 1)
			_, _ = db.Exec(ctx, `select 1/0`)
			return err
		}, 0, true},
		"a first statement that does not parse, dropped": {func(ctx context.Context, db *postgres.DB) error {
			_, _ = db.Exec(ctx, `selec`)
			return nil
		}, 0, true},
		"and then another": {func(ctx context.Context, db *postgres.DB) error {
			_, _ = db.Exec(ctx, `selec`)
			_, _ = db.Exec(ctx, `insert into notes (id, tenant_id, text) values (1, gen_random_uuid(), 'as nobody')`)
			return nil
		}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := notes(t)
			db := d.Open(t, postgres.Config{MaxConns: 1})
			ctx, _ := d.Tenant(t, "one")
			committed := false
			err := db.Tx(ctx, func(ctx context.Context) error {
				postgres.AfterCommit(ctx, func() { committed = true })
				return tc.fn(ctx, db)
			})
			if (err != nil) != tc.fail {
				t.Errorf("error %v, want one: %v", err, tc.fail)
			}
			if n := count(t, d.Conn(t)); n != tc.want {
				t.Errorf("%d notes are there, want %d", n, tc.want)
			}
			if committed == tc.fail {
				t.Errorf("AfterCommit ran: %v, the transaction failed: %v", committed, tc.fail)
			}
			do(ctx, t, db, insertNote, 99) // the only connection is clean again
		})
	}
}

func TestTxServesTenantsInTurn(t *testing.T) {
	t.Parallel()
	d := notes(t)
	one, oneID := d.Tenant(t, "one")
	_, twoID := d.Tenant(t, "two")
	err := d.DB.Tx(one, func(ctx context.Context) error {
		asTwo := scope.With(ctx, scope.Scope{Tenant: twoID})
		for i, ctx := range []context.Context{ctx, asTwo, ctx, postgres.AsSystem(ctx), asTwo} {
			if i != 3 {
				do(ctx, t, d.DB, insertNote, i)
			}
			seen := value[int](ctx, t, d.DB, `select count(*) from notes`)
			if want := []int{1, 1, 2, 3, 2}[i]; seen != want {
				t.Errorf("statement %d sees %d notes, want %d", i, seen, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := value[int](postgres.AsSystem(one), t, d.DB, `select count(*) from notes where tenant_id = $1`, oneID); n != 2 {
		t.Errorf("tenant one has %d notes, want 2", n)
	}
}

func TestAfterCommitRunsInOrderWithAFreeConnection(t *testing.T) {
	t.Parallel()
	d := notes(t)
	db := d.Open(t, postgres.Config{MaxConns: 1})
	ctx, _ := d.Tenant(t, "one")
	var order []int
	note := func(i int) func() {
		return func() {
			do(ctx, t, db, insertNote, i) // would wait for ever if the transaction still held the connection
			order = append(order, i)
		}
	}
	err := db.Tx(ctx, func(ctx context.Context) error {
		postgres.AfterCommit(ctx, note(1))
		do(ctx, t, db, insertNote, 0)
		return db.Tx(ctx, func(ctx context.Context) error {
			postgres.AfterCommit(ctx, note(2))
			return nil
		})
	})
	if err != nil || len(order) != 2 || order[0] != 1 {
		t.Errorf("ran %v, error %v", order, err)
	}
	postgres.AfterCommit(ctx, func() { order = append(order, 3) })
	if len(order) != 3 {
		t.Error("AfterCommit outside a transaction did not run at once")
	}
}

func TestACancelledTxLeavesACleanConnection(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(ctx context.Context, cancel context.CancelFunc, db *postgres.DB) error{
		"between statements": func(ctx context.Context, cancel context.CancelFunc, db *postgres.DB) error {
			cancel()
			_, err := db.Exec(ctx, insertNote, 2)
			return err
		},
		"unnoticed, before the commit": func(_ context.Context, cancel context.CancelFunc, _ *postgres.DB) error {
			cancel()
			return nil
		},
		"during a statement": func(ctx context.Context, cancel context.CancelFunc, db *postgres.DB) error {
			defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
			_, err := db.Exec(ctx, `select pg_sleep(30)`)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := notes(t)
			db := d.Open(t, postgres.Config{MaxConns: 1})
			tenant, _ := d.Tenant(t, "one")
			ctx, cancel := context.WithCancel(tenant)
			defer cancel()
			err := db.Tx(ctx, func(ctx context.Context) error {
				if _, err := db.Exec(ctx, insertNote, 1); err != nil {
					return err
				}
				return leave(ctx, cancel, db)
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v is not the cancellation", err)
			}
			wantCode(t, err, fault.Cancelled)
			do(tenant, t, db, insertNote, 1)
			if n := count(t, d.Conn(t)); n != 1 {
				t.Errorf("%d notes are there, want the later one only", n)
			}
			if made := db.Stat().NewConnsCount(); made > 1 && name != "during a statement" {
				t.Error("the connection was thrown away although it could be rolled back")
			}
		})
	}
}

func TestAPanicLeavesACleanConnection(t *testing.T) {
	t.Parallel()
	d := notes(t)
	db := d.Open(t, postgres.Config{MaxConns: 1})
	ctx, _ := d.Tenant(t, "one")
	func() {
		defer func() { _ = recover() }()
		_ = db.Tx(ctx, func(ctx context.Context) error {
			do(ctx, t, db, insertNote, 1)
			panic("a defect")
		})
	}()
	do(ctx, t, db, insertNote, 1)
}

// What was read in a transaction must not be lost when its reader fails.
func TestAReaderThatFailsUndoesTheTransaction(t *testing.T) {
	t.Parallel()
	d := notes(t)
	db := d.Open(t, postgres.Config{MaxConns: 1})
	ctx, _ := d.Tenant(t, "one")
	for _, first := range []bool{true, false} {
		err := db.Tx(ctx, func(ctx context.Context) error {
			if !first {
				do(ctx, t, db, `select 1`)
			}
			return db.Query(ctx, insertNote+` returning id`, []any{1}, func(pgx.Rows) error { return errRefused })
		})
		if !errors.Is(err, errRefused) {
			t.Errorf("error %v, want the reader's", err)
		}
	}
	if n := count(t, d.Conn(t)); n != 0 {
		t.Errorf("%d notes are there, want none", n)
	}
}
