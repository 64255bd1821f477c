// Package pgtest gives each test a migrated database of its own, on the Postgres that
// LARI_TEST_DATABASE_URL names. The schema is applied once, to a template database named by the hash of
// the migrations; a test's database is a copy of it and is dropped when the test ends.
package pgtest

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// variable names a Postgres superuser; tests create and drop databases beside the one it names.
const variable = "LARI_TEST_DATABASE_URL"

// Database belongs to one test.
type Database struct {
	DB  *postgres.DB
	URL string // a session connection, as superuser
}

// New gives the test a database with the whole schema and no row. It is gone when the test ends.
func New(t testing.TB) *Database {
	t.Helper()
	return open(t, templated(t))
}

// NewEmpty gives the test a database without any schema, for tests of the migrations themselves.
func NewEmpty(t testing.TB) *Database {
	t.Helper()
	return open(t, "template0")
}

func open(t testing.TB, template string) *Database {
	t.Helper()
	name := "lari_test_" + uuid.NewString()[:13]
	admin(t, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, fmt.Sprintf("create database %s template %s", quote(name), quote(template))); err != nil {
			return err
		}
		// The migrations do this too, but what is granted on a database is not copied with it.
		_, err := conn.Exec(ctx, fmt.Sprintf("revoke temporary on database %s from public", quote(name)))
		return err
	})
	t.Cleanup(func() {
		admin(t, func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, fmt.Sprintf("drop database if exists %s with (force)", quote(name)))
			return err
		})
	})
	d := &Database{URL: address(t, name)}
	d.DB = d.Open(t, postgres.Config{MaxConns: 8})
	return d
}

// Open opens one more pool on the database; it is closed when the test ends. An empty cfg.URL means the
// database's own.
func (d *Database) Open(t testing.TB, cfg postgres.Config) *postgres.DB {
	t.Helper()
	if cfg.URL == "" {
		cfg.URL = d.URL
	}
	db, err := postgres.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("open the test's database: %v", err)
	}
	t.Cleanup(db.Close)
	return db
}

// Conn gives a plain connection as superuser, past roles and policies, for what a test prepares or looks
// at behind the code's back. It is closed when the test ends.
func (d *Database) Conn(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.URL)
	if err != nil {
		t.Fatalf("connect to the test's database: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Tenant inserts a tenant and gives a context that acts for it. The context ends with the test.
func (d *Database) Tenant(t testing.TB, slug string) (context.Context, uuid.UUID) {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	ctx := scope.With(t.Context(), scope.Scope{Tenant: id, Actor: "test", RequestID: "test-" + slug})
	if _, err := d.DB.Exec(ctx, `insert into tenants (id, slug, name) values ($1, $2, $2)`, id, slug); err != nil {
		t.Fatalf("insert the tenant %s: %v", slug, err)
	}
	return ctx, id
}

// admin runs f on a connection of its own to the database that the variable names.
func admin(t testing.TB, f func(ctx context.Context, conn *pgx.Conn) error) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute) // also from cleanups, when t's own context has ended
	defer stop()
	conn, err := pgx.Connect(ctx, address(t, ""))
	if err != nil {
		t.Fatalf("connect to the Postgres of %s: %v", variable, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := f(ctx, conn); err != nil {
		t.Fatalf("prepare the test's database: %v", err)
	}
}

// address gives the variable's URL with another database's name in it; "" keeps its own.
func address(t testing.TB, database string) string {
	t.Helper()
	raw := os.Getenv(variable)
	if raw == "" {
		t.Fatalf("%s is not set: run make test, or go run ./tests/stack -- go test …", variable)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		t.Fatalf("%s must have the form postgres://user@host:port/database", variable)
	}
	if database != "" {
		u.Path = "/" + database
	}
	return u.String()
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
