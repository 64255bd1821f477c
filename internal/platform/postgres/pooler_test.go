package postgres_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/scope"
)

// Behind a transaction pooler each transaction may land on another server connection. Few of them serve
// many clients here, so that every client meets connections that others have used.
func TestThroughATransactionPooler(t *testing.T) {
	t.Parallel()
	d := notes(t)
	address := pgtest.StartBouncer(t, d.URL)
	db := d.Open(t, postgres.Config{URL: address, Pooled: true, MaxConns: 12})
	tenants := make([]context.Context, 4)
	for i := range tenants {
		tenants[i], _ = d.Tenant(t, "t"+strconv.Itoa(i))
	}
	var wg sync.WaitGroup
	for worker := range 12 {
		wg.Go(func() {
			ctx := tenants[worker%len(tenants)]
			for i := range 25 {
				if err := throughPooler(ctx, db, worker*1000+i*2); err != nil {
					t.Errorf("worker %d: %v", worker, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := count(t, d.Conn(t)); n != 12*25*2 {
		t.Errorf("%d notes are there, want %d", n, 12*25*2)
	}
	_, err := db.Exec(tenants[0], insertNote, 0)
	if postgres.UniqueViolation(err) != "notes_pkey" {
		t.Errorf("error %v, want a violation", err)
	}
}

// throughPooler writes one note alone and one in a transaction of several statements, and checks whose they are.
func throughPooler(ctx context.Context, db *postgres.DB, id int) error {
	if _, err := db.Exec(ctx, insertNote, id); err != nil {
		return err
	}
	return db.Tx(ctx, func(ctx context.Context) error {
		if _, err := db.Exec(ctx, insertNote, id+1); err != nil {
			return err
		}
		owners, err := postgres.All(ctx, db, `select distinct tenant_id from notes where id in ($1, $2)`, []any{id, id + 1}, pgx.RowTo[uuid.UUID])
		if err == nil && (len(owners) != 1 || owners[0] != scope.Tenant(ctx)) {
			return fmt.Errorf("notes of %v were written as %v", scope.Tenant(ctx), owners)
		}
		return err
	})
}
