package pgtest_test

import (
	"sync"
	"testing"

	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

func TestEachTestHasItsOwnDatabaseAndLeavesNone(t *testing.T) {
	t.Parallel()
	outer := pgtest.New(t)
	var mu sync.Mutex
	var names []string
	t.Run("inner", func(t *testing.T) {
		for range 3 {
			t.Run("one", func(t *testing.T) {
				t.Parallel()
				d := pgtest.New(t)
				d.Tenant(t, "acme") // a duplicate, were the database shared
				var name string
				var tenants int
				err := d.Conn(t).QueryRow(t.Context(), `select current_database(), (select count(*) from tenants)`).Scan(&name, &tenants)
				if err != nil || tenants != 1 {
					t.Errorf("%d tenants are there, error %v", tenants, err)
				}
				mu.Lock()
				defer mu.Unlock()
				names = append(names, name)
			})
		}
	})
	var left int
	err := outer.Conn(t).QueryRow(t.Context(), `select count(*) from pg_database where datname = any($1)`, names).Scan(&left)
	if err != nil || left != 0 || len(names) != 3 {
		t.Errorf("%d of the databases %v are left, error %v", left, names, err)
	}
}
