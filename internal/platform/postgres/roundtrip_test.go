package postgres_test

import (
	"context"
	"testing"

	"github.com/larirun/lari/internal/platform/postgres"
)

// A statement costs one round trip with its role and claims, and beginning a transaction costs none.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	d := notes(t)
	tenant, _ := d.Tenant(t, "one")
	_, twoID := d.Tenant(t, "two")
	id := 0
	insert := func(ctx context.Context, db *postgres.DB) error {
		id++
		_, err := db.Exec(ctx, insertNote, id)
		return err
	}
	for name, tc := range map[string]struct {
		fn   func(ctx context.Context, db *postgres.DB) error
		want int64
	}{
		"one statement": {insert, 1},
		"three statements": {func(ctx context.Context, db *postgres.DB) error {
			for range 3 {
				if err := insert(ctx, db); err != nil {
					return err
				}
			}
			return nil
		}, 3},
		"a transaction of one statement": {func(ctx context.Context, db *postgres.DB) error {
			return db.Tx(ctx, func(ctx context.Context) error { return insert(ctx, db) })
		}, 2},
		"a transaction of two statements": {func(ctx context.Context, db *postgres.DB) error {
			return db.Tx(ctx, func(ctx context.Context) error {
				if err := insert(ctx, db); err != nil {
					return err
				}
				return insert(ctx, db)
			})
		}, 3},
		"a transaction that changes tenants": {func(ctx context.Context, db *postgres.DB) error {
			return db.Tx(ctx, func(ctx context.Context) error {
				if err := insert(ctx, db); err != nil {
					return err
				}
				_, err := db.Exec(postgres.AsSystem(ctx), `update notes set tenant_id = $1 where id = $2`, twoID, id)
				return err
			})
		}, 3},
		"a transaction whose last statements go with the commit": {func(ctx context.Context, db *postgres.DB) error {
			return db.Tx(ctx, func(ctx context.Context) error {
				id++
				if err := db.Finally(ctx, postgres.Statement{SQL: insertNote, Args: []any{id + 1}}); err != nil {
					return err
				}
				if err := db.Finally(postgres.AsSystem(ctx), postgres.Statement{SQL: `update notes set tenant_id = $1 where id = $2`, Args: []any{twoID, id + 1}}); err != nil {
					return err
				}
				_, err := db.Exec(ctx, insertNote, id)
				id++
				return err
			})
		}, 2},
		"a transaction of last statements only": {func(ctx context.Context, db *postgres.DB) error {
			id++
			return db.Tx(ctx, func(ctx context.Context) error {
				return db.Finally(ctx, postgres.Statement{SQL: insertNote, Args: []any{id}})
			})
		}, 1},
		"an empty transaction": {func(ctx context.Context, db *postgres.DB) error {
			return db.Tx(ctx, func(context.Context) error { return nil })
		}, 0},
	} {
		for _, pooled := range []bool{false, true} {
			p, url := newProxy(t, d.URL)
			db := d.Open(t, postgres.Config{URL: url, MaxConns: 1, Pooled: pooled})
			if err := tc.fn(tenant, db); err != nil { // the connection meets the statements
				t.Fatalf("%s: %v", name, err)
			}
			before := p.trips.Load()
			if err := tc.fn(tenant, db); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := p.trips.Load() - before; got != tc.want {
				t.Errorf("%s (pooled: %v) took %d round trips, want %d", name, pooled, got, tc.want)
			}
		}
	}
}

func BenchmarkExec(b *testing.B) {
	d, ctx := benchDatabase(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Exec(ctx, `select 1`); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTx(b *testing.B) {
	d, ctx := benchDatabase(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Tx(ctx, func(ctx context.Context) error { _, err := d.Exec(ctx, `select 1`); return err }); err != nil {
			b.Fatal(err)
		}
	}
}
