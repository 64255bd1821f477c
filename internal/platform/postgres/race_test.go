package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/larirun/lari/internal/platform/postgres"
)

// Two transactions that lock the same rows in opposite order: Postgres ends one of them, which is run
// again, so that both succeed.
func TestADeadlockIsRunAgain(t *testing.T) {
	t.Parallel()
	d := notes(t)
	ctx, _ := d.Tenant(t, "one")
	do(ctx, t, d.DB, `insert into notes (id, text) values (1, ''), (2, '')`)
	var met, all sync.WaitGroup
	met.Add(2)
	var tries atomic.Int32
	lock := func(who string, first, second int) {
		defer all.Done()
		meet := sync.OnceFunc(func() { met.Done(); met.Wait() }) // only the first try meets the other one
		err := d.DB.Tx(ctx, func(ctx context.Context) error {
			tries.Add(1)
			if _, err := d.DB.Exec(ctx, `update notes set text = text || $2 where id = $1`, first, who); err != nil {
				return err
			}
			meet()
			if _, err := d.DB.Exec(ctx, `update notes set text = text || $2 where id = $1`, second, who); err != nil {
				return fmt.Errorf("wrapped: %w", err)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", who, err)
		}
	}
	all.Add(2)
	go lock("a", 1, 2)
	go lock("b", 2, 1)
	all.Wait()
	if n := tries.Load(); n < 3 {
		t.Errorf("%d tries: Postgres ended none, so the test shows nothing", n)
	}
	if n := value[int](ctx, t, d.DB, `select count(*) from notes where length(text) = 2`); n != 2 {
		t.Errorf("%d rows have both changes, want 2", n)
	}
}

const loseRace = `do $$ begin raise exception using errcode = '40001', message = 'lost'; end $$`

func TestALostRaceIsRunAgainAFewTimes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lose, tries int
		fail        bool
	}{
		"won at once":  {0, 1, false},
		"lost twice":   {2, 3, false},
		"always lost":  {99, 4, true},
		"won the last": {3, 4, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := notes(t)
			ctx, _ := d.Tenant(t, "one")
			tries, committed := 0, 0
			err := d.DB.Tx(ctx, func(ctx context.Context) error {
				tries++
				postgres.AfterCommit(ctx, func() { committed++ })
				do(ctx, t, d.DB, insertNote, 1) // a duplicate, were the try before not undone
				if tries <= tc.lose {
					_, err := d.DB.Exec(ctx, loseRace)
					return err
				}
				return nil
			})
			if (err != nil) != tc.fail || tries != tc.tries {
				t.Errorf("%d tries and error %v, want %d tries and an error: %v", tries, err, tc.tries, tc.fail)
			}
			if want := map[bool]int{false: 1}[tc.fail]; committed != want || count(t, d.Conn(t)) != want {
				t.Errorf("AfterCommit ran %d times and %d notes are there, want %d", committed, count(t, d.Conn(t)), want)
			}
		})
	}
}

func TestALostRaceIsNotRunAgainForACallerWhoLeft(t *testing.T) {
	t.Parallel()
	d := notes(t)
	tenant, _ := d.Tenant(t, "one")
	ctx, cancel := context.WithCancel(tenant)
	tries := 0
	err := d.DB.Tx(ctx, func(ctx context.Context) error {
		tries++
		_, err := d.DB.Exec(ctx, loseRace)
		cancel()
		return err
	})
	if err == nil || tries != 1 {
		t.Errorf("%d tries, error %v", tries, err)
	}
}
