package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// deferred prepares a table whose foreign key is checked at the commit and not before.
func deferred(t *testing.T) *pgtest.Database {
	t.Helper()
	d := notes(t)
	run(t, d.Conn(t), `
		create table replies (id int primary key, note int not null constraint replies_note references notes deferrable initially deferred);
		grant select, insert on replies to authenticated`)
	return d
}

const orphan = `insert into replies (id, note) values (1, 404) returning id`

// A commit can fail although every statement succeeded. It must never be reported as success.
func TestAFailedCommitIsAnError(t *testing.T) {
	t.Parallel()
	d := deferred(t)
	db := d.Open(t, postgres.Config{MaxConns: 1})
	ctx, _ := d.Tenant(t, "one")
	for name, write := range map[string]func() error{
		"Exec": func() error { _, err := db.Exec(ctx, orphan); return err },
		"Query": func() error {
			return db.Query(ctx, orphan, nil, func(rows pgx.Rows) error { rows.Next(); return nil })
		},
		"One": func() error {
			_, ok, err := postgres.One(ctx, db, orphan, nil, pgx.RowTo[int])
			if ok {
				t.Error("One gives a row that was never stored")
			}
			return err
		},
		"All": func() error { _, err := postgres.All(ctx, db, orphan, nil, pgx.RowTo[int]); return err },
		"Tx": func() error {
			return db.Tx(ctx, func(ctx context.Context) error {
				postgres.AfterCommit(ctx, func() { t.Error("AfterCommit ran although the commit failed") })
				_, err := db.Exec(ctx, orphan)
				if err != nil {
					t.Errorf("the statement itself failed: %v", err)
				}
				return nil
			})
		},
		"Finally": func() error {
			return db.Tx(ctx, func(ctx context.Context) error {
				postgres.AfterCommit(ctx, func() { t.Error("AfterCommit ran although the commit failed") })
				return db.Finally(ctx, postgres.Statement{SQL: orphan})
			})
		},
	} {
		err := write()
		if postgres.ForeignKeyViolation(err) != "replies_note" {
			t.Errorf("%s: error %v, want the violation of replies_note", name, err)
		}
		if n := value[int](ctx, t, db, `select count(*) from replies`); n != 0 {
			t.Errorf("%s stored a row", name)
		}
	}
	if n := db.Stat().NewConnsCount(); n != 1 {
		t.Errorf("%d connections were made: failed commits should not cost any", n)
	}
}
