package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/scope"
)

const whoami = `select current_user || ' ' || coalesce(lari.tenant_id()::text, '-') || ' ' || lari.is_writer()`

func TestStatementsCarryRoleAndTenant(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	one, oneID := d.Tenant(t, "one")
	two, twoID := d.Tenant(t, "two")
	for name, tc := range map[string]struct {
		ctx  context.Context
		want string
	}{
		"a tenant":          {one, fmt.Sprintf("authenticated %s true", oneID)},
		"another":           {two, fmt.Sprintf("authenticated %s true", twoID)},
		"the system":        {postgres.AsSystem(t.Context()), "service_role - true"},
		"system for tenant": {postgres.AsSystem(one), "service_role - true"},
		"and back":          {postgres.AsTenant(postgres.AsSystem(one)), fmt.Sprintf("authenticated %s true", oneID)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := value[string](tc.ctx, t, d.DB, whoami); got != tc.want {
				t.Errorf("a statement ran as %s, want %s", got, tc.want)
			}
			err := d.DB.Tx(tc.ctx, func(ctx context.Context) error {
				for range 3 { // the first statement brings the transaction along, later ones are in it
					if got := value[string](ctx, t, d.DB, whoami); got != tc.want {
						t.Errorf("a statement of a transaction ran as %s, want %s", got, tc.want)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	claims := value[map[string]any](one, t, d.DB, `select lari.claims()`)
	if claims["role"] != "authenticated" || claims["app_metadata"].(map[string]any)["tenant_id"] != oneID.String() {
		t.Errorf("claims %v have not the form of Supabase's", claims)
	}
}

// A connection must forget whom it served, whatever happened on it; a session of our own has the role of tenants
// then, and no claims.
func TestNothingStaysOnTheConnection(t *testing.T) {
	t.Parallel()
	for role, pooled := range map[string]bool{"none": true, "authenticated": false} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			nothingStays(t, role, pooled)
		})
	}
}

func nothingStays(t *testing.T, role string, pooled bool) {
	t.Helper()
	d := notes(t)
	db := d.Open(t, postgres.Config{MaxConns: 1, Pooled: pooled})
	ctx, _ := d.Tenant(t, "one")
	for name, use := range map[string]func() error{
		"a statement": func() error { _, err := db.Exec(ctx, whoami); return err },
		"the system":  func() error { _, err := db.Exec(postgres.AsSystem(ctx), whoami); return err },
		"failed":      func() error { _, _ = db.Exec(ctx, `select 1/0`); return nil },
		"unreadable":  func() error { _, _ = db.Exec(ctx, `selec`); return nil },
		"transaction": func() error {
			return db.Tx(ctx, func(ctx context.Context) error { _, err := db.Exec(ctx, whoami); return err })
		},
		"rolled back": func() error {
			_ = db.Tx(ctx, func(ctx context.Context) error { _, _ = db.Exec(ctx, whoami); return context.Canceled })
			return nil
		},
		"half read": func() error {
			return db.Query(ctx, `select generate_series(1, 10000)`, nil, func(rows pgx.Rows) error { rows.Next(); return nil })
		},
	} { // one after the other: they share the connection
		if err := use(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var left string
		err := db.Pool().QueryRow(t.Context(), `select current_user = session_user,
			coalesce(current_setting('request.jwt.claims', true), '') || current_setting('role')`).Scan(new(bool), &left)
		if err != nil || left != role {
			t.Errorf("%s left %q on the connection (error %v)", name, left, err)
		}
	}
	if n := db.Stat().NewConnsCount(); n != 1 {
		t.Errorf("%d connections were made, want the same one throughout", n)
	}
}

func TestWithoutATenantNothingRuns(t *testing.T) {
	t.Parallel()
	d := notes(t)
	bare := scope.With(t.Context(), scope.Scope{Actor: "someone"})
	_, err := d.DB.Exec(bare, `select 1`)
	wantCode(t, err, fault.Internal)
	err = d.DB.Tx(bare, func(ctx context.Context) error { _, err := d.DB.Exec(ctx, `select 1`); return err })
	wantCode(t, err, fault.Internal)
	_, err = d.DB.Exec(postgres.AsTenant(postgres.AsSystem(bare)), `select 1`)
	wantCode(t, err, fault.Internal)

	ctx, _ := d.Tenant(t, "one")
	err = d.DB.Tx(ctx, func(ctx context.Context) error {
		_, err := d.DB.Exec(scope.With(ctx, scope.Scope{}), `insert into notes (id, text) values (1, 'whose?')`)
		return err
	})
	wantCode(t, err, fault.Internal)
}

func TestTheSystemIsNotATenant(t *testing.T) {
	t.Parallel()
	d := notes(t)
	for i, slug := range []string{"one", "two"} {
		ctx, _ := d.Tenant(t, slug)
		do(ctx, t, d.DB, `insert into notes (id, text) values ($1, $2)`, i, slug)
		if got := value[string](ctx, t, d.DB, `select string_agg(text, ',') from notes`); got != slug {
			t.Errorf("tenant %s sees the notes %s", slug, got)
		}
	}
	if n := value[int](postgres.AsSystem(t.Context()), t, d.DB, `select count(*) from notes`); n != 2 {
		t.Errorf("the system sees %d notes, want 2", n)
	}
}

// Many tenants at once over few connections: nobody ever gets another's claim.
func TestTenantsShareConnections(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	db := d.Open(t, postgres.Config{MaxConns: 3})
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			id := uuid.New()
			ctx := scope.With(t.Context(), scope.Scope{Tenant: id})
			for i := range 20 {
				var got uuid.UUID
				read := func(ctx context.Context) (err error) {
					got, _, err = postgres.One(ctx, db, `select lari.tenant_id()`, nil, pgx.RowTo[uuid.UUID])
					return err
				}
				err := error(nil)
				if i%2 == 0 {
					err = read(ctx)
				} else {
					err = db.Tx(ctx, read)
				}
				if err != nil || got != id {
					t.Errorf("tenant %s ran as %s (error %v)", id, got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestAbsentRowsAndEmptyLists(t *testing.T) {
	t.Parallel()
	d := notes(t)
	ctx, _ := d.Tenant(t, "one")
	text, ok, err := postgres.One(ctx, d.DB, `select text from notes`, nil, pgx.RowTo[string])
	if text != "" || ok || err != nil {
		t.Errorf("an absent row gave %q, %v, %v", text, ok, err)
	}
	all, err := postgres.All(ctx, d.DB, `select text from notes`, nil, pgx.RowTo[string])
	if all == nil || len(all) != 0 || err != nil {
		t.Errorf("no rows gave %#v, %v", all, err)
	}
	if n, err := d.DB.Exec(ctx, `insert into notes (id, text) values (1, 'a'), (2, 'b')`); n != 2 || err != nil {
		t.Errorf("an insert of two rows gave %d, %v", n, err)
	}
	if _, _, err := postgres.One(ctx, d.DB, `select text from notes`, nil, pgx.RowTo[int]); err == nil {
		t.Error("a text was read into a number without an error")
	}
}

func TestTimesComeBackInUTC(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	ctx, _ := d.Tenant(t, "one")
	at := time.Date(2026, 3, 29, 1, 30, 0, 123_000_000, time.UTC)
	got := value[time.Time](ctx, t, d.DB, `select $1::timestamptz`, at.In(time.FixedZone("", 3600)))
	if got.Location() != time.UTC || !got.Equal(at) {
		t.Errorf("%v came back as %v", at, got)
	}
}
