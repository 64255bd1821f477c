package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

func wantUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != fault.Unavailable || f.RetryAfter <= 0 {
		t.Errorf("%s: error %v, want unavailable with a time to wait", what, err)
	}
}

// everyDoor tries each way to run a statement.
func everyDoor(ctx context.Context, d *postgres.DB) map[string]error {
	_, exec := d.Exec(ctx, `select 1`)
	return map[string]error{
		"Exec": exec,
		"Tx":   d.Tx(ctx, func(ctx context.Context) error { _, err := d.Exec(ctx, `select 1`); return err }),
		"Ping": d.Ping(ctx),
	}
}

func TestADatabaseThatIsDown(t *testing.T) {
	t.Parallel()
	d := notes(t)
	ctx, _ := d.Tenant(t, "one")
	p, url := newProxy(t, d.URL)
	p.down() // before anything was connected: a refused port
	db := d.Open(t, postgres.Config{URL: url, MaxConns: 2})
	for door, err := range everyDoor(ctx, db) {
		wantUnavailable(t, door+" before it is up", err)
	}
	_, err := db.Pending(ctx, nil)
	wantUnavailable(t, "Pending", err)
	_, err = postgres.Migrate(ctx, url, nil)
	wantUnavailable(t, "Migrate", err)

	for range 2 {
		p.up()
		for door, err := range everyDoor(ctx, db) {
			if err != nil {
				t.Errorf("%s after it came up: %v", door, err)
			}
		}
		err = db.Tx(ctx, func(ctx context.Context) error {
			do(ctx, t, db, insertNote, 1)
			p.down()
			_, err := db.Exec(ctx, insertNote, 2)
			return err
		})
		wantUnavailable(t, "a transaction that is cut off", err)
		for door, err := range everyDoor(ctx, db) {
			wantUnavailable(t, door+" while it is down", err)
		}
	}
	if n := count(t, d.Conn(t)); n != 0 {
		t.Errorf("%d notes of transactions that were cut off are there", n)
	}
}

// What an administrator or a failover does: the sessions end with a message.
func TestTerminatedSessions(t *testing.T) {
	t.Parallel()
	d := notes(t)
	ctx, _ := d.Tenant(t, "one")
	db := d.Open(t, postgres.Config{MaxConns: 1})
	super := d.Conn(t)
	err := db.Tx(ctx, func(ctx context.Context) error {
		pid := value[int](ctx, t, db, `select pg_backend_pid()`)
		if _, err := super.Exec(ctx, `select pg_terminate_backend($1, 5000)`, pid); err != nil {
			t.Fatal(err)
		}
		_, err := db.Exec(ctx, insertNote, 1)
		return err
	})
	wantUnavailable(t, "a terminated transaction", err)
	do(ctx, t, db, insertNote, 1)
}

// The server answers, with a refusal: that may be a password being rotated, and passes.
func TestARefusedLogin(t *testing.T) {
	t.Parallel()
	d := notes(t)
	ctx, _ := d.Tenant(t, "one")
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.Path += "_gone"
	db := d.Open(t, postgres.Config{URL: u.String()})
	for door, err := range everyDoor(ctx, db) {
		wantUnavailable(t, door, err)
	}
}

func TestAServerThatNeverAnswers(t *testing.T) {
	t.Parallel()
	d := notes(t)
	tenant, _ := d.Tenant(t, "one")
	p, url := newProxy(t, d.URL)
	p.silent.Store(true)
	db := d.Open(t, postgres.Config{URL: url, ConnectTimeout: 50 * time.Millisecond})
	_, err := db.Exec(tenant, `select 1`)
	wantUnavailable(t, "connecting to a silent server", err)
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if _, err := postgres.Open(t.Context(), postgres.Config{URL: "postgres://:bad:port:/"}, nil); err == nil {
		t.Error("a bad address was accepted")
	}
}
