// Package postgres runs statements on behalf of a tenant. There are two ways and no third: a single
// statement (Query, Exec), sent with its role and tenant claim in one round trip, and Tx, a
// transaction that every statement below its context joins. The tenant comes from the context.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

// Config says how to reach the database.
type Config struct {
	URL            string        // may lead through a transaction pooler
	Pooled         bool          // a transaction pooler is in between: no named prepared statements
	MaxConns       int32         // connections of this process; zero: 16
	ConnectTimeout time.Duration // for one connection; zero: 5 s
}

// DB is a pool of connections whose statements always carry a role and a tenant.
type DB struct {
	pool    *pgxpool.Pool
	shares  *shares
	lookups *lookups
	log     *slog.Logger
}

// Open prepares a pool. It does not connect: a database that is down makes statements fail with
// fault.Unavailable, and they work again when it is back.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*DB, error) {
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("read the database address: %w", err)
	}
	pc.MaxConns = 16
	if cfg.MaxConns > 0 {
		pc.MaxConns = cfg.MaxConns
	}
	pc.ConnConfig.ConnectTimeout = 5 * time.Second
	if cfg.ConnectTimeout > 0 {
		pc.ConnConfig.ConnectTimeout = cfg.ConnectTimeout
	}
	if cfg.Pooled {
		// Statements prepared on one server connection do not exist on the next one that the pooler hands out.
		pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	pc.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		prepareTypes(conn)
		if cfg.Pooled { // a session is not ours alone there
			return nil
		}
		return assume(ctx, conn)
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("open the connection pool: %w", err)
	}
	return &DB{pool: pool, shares: newShares(pc.MaxConns), lookups: newLookups(pc.MaxConns), log: log}, nil
}

// closeWithin bounds how long Close waits for a server that does not answer.
const closeWithin = 3 * time.Second

// Close waits for statements that run and closes every connection. A server that has gone silent is not
// waited for: the driver gives its connections up by itself, up to 15 s later.
func (db *DB) Close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		db.pool.Close()
	}()
	patience := time.NewTimer(closeWithin)
	defer patience.Stop()
	select {
	case <-closed:
	case <-patience.C:
		db.log.Warn("the database does not answer the closing of its connections")
	}
}

// Stat is what a pool's figures are, with the waits for a tenant's share of it.
type Stat struct {
	*pgxpool.Stat
	shares shareStat
}

// EmptyAcquireCount returns how many statements waited for a connection.
func (s Stat) EmptyAcquireCount() int64 { return s.Stat.EmptyAcquireCount() + s.shares.waited }

// EmptyAcquireWaitTime returns how long they waited together.
func (s Stat) EmptyAcquireWaitTime() time.Duration {
	return s.Stat.EmptyAcquireWaitTime() + s.shares.waitTime
}

// CanceledAcquireCount returns how many gave up before they had a connection.
func (s Stat) CanceledAcquireCount() int64 { return s.Stat.CanceledAcquireCount() + s.shares.cancelled }

// Stat returns the pool's figures, for metrics.
func (db *DB) Stat() Stat { return Stat{db.pool.Stat(), db.shares.stat()} }

// acquire takes a connection out of the tenant's share of the pool. The caller calls release.
func (db *DB) acquire(ctx context.Context, tenant uuid.UUID) (conn *pgxpool.Conn, release func(), err error) {
	if err := db.shares.acquire(ctx, tenant); err != nil {
		return nil, nil, err
	}
	if conn, err = db.pool.Acquire(ctx); err != nil {
		db.shares.release(tenant)
		return nil, nil, err
	}
	return conn, func() {
		conn.Release()
		db.shares.release(tenant)
	}, nil
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return translate(db.pool.Ping(ctx)) }

// prelude sets role and claims for the rest of the transaction. Claims have the form of Supabase's, so
// that one set of policies serves its clients and this service; lari_writer marks the service, because
// a tenant's own JWT may read its rows directly but never write them.
const prelude = `select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)`

// claimsPrelude is prelude on a connection whose session has the role of tenants.
const claimsPrelude = `select set_config('request.jwt.claims', $1, true)`

const roleOfTenants = "authenticated"

// assume gives a session the role of tenants from its beginning, which spares every transaction the change.
// Without claims it sees nothing. Before the first migration there is no such role: each transaction then
// takes what it needs, as it does behind a pooler.
func assume(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "set role "+roleOfTenants)
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return nil
	}
	if err == nil {
		conn.PgConn().CustomData()[assumedKey] = true
	}
	return err
}

const assumedKey = "lari.assumed"

// assumed reports whether the connection's session has the role of tenants.
func assumed(conn *pgxpool.Conn) bool {
	is, _ := conn.Conn().PgConn().CustomData()[assumedKey].(bool)
	return is
}

type systemKey struct{}

// identity is on whose behalf a statement runs.
type identity struct {
	system bool
	tenant uuid.UUID // uuid.Nil when system
}

func identityOf(ctx context.Context) (identity, error) {
	if system, _ := ctx.Value(systemKey{}).(bool); system {
		return identity{system: true}, nil
	}
	tenant := scope.Tenant(ctx)
	if tenant == uuid.Nil {
		return identity{}, fault.New(fault.Internal, "a statement was run without a tenant")
	}
	return identity{tenant: tenant}, nil
}

// prelude gives the statement that makes what follows it run as the identity, for the rest of the
// transaction. assumed says that the role is that of tenants already.
func (i identity) prelude(assumed bool) Statement {
	if i.system {
		return Statement{SQL: prelude, Args: []any{"service_role", `{"role":"service_role","lari_writer":true}`}}
	}
	claims := `{"role":"authenticated","lari_writer":true,"app_metadata":{"tenant_id":"` + i.tenant.String() + `"}}`
	if assumed {
		return Statement{SQL: claimsPrelude, Args: []any{claims}}
	}
	return Statement{SQL: prelude, Args: []any{roleOfTenants, claims}}
}

// AsSystem marks the context so that statements run as service_role, across tenants. For work that has
// no tenant yet (looking up an API key) or serves all of them (dispatching); tests/arch names its callers.
func AsSystem(ctx context.Context) context.Context {
	return context.WithValue(ctx, systemKey{}, true)
}

// AsTenant takes AsSystem back: statements run as the tenant of the context's scope again.
func AsTenant(ctx context.Context) context.Context {
	return context.WithValue(ctx, systemKey{}, false)
}

// Query runs one statement and hands its rows to read, which must consume what it needs; it is called
// at most once. It is a Batch of one.
func (db *DB) Query(ctx context.Context, sql string, args []any, read func(pgx.Rows) error) error {
	return db.Batch(ctx, Statement{SQL: sql, Args: args, Read: read})
}

// Statement is one statement of a Batch.
type Statement struct {
	SQL  string
	Args []any
	Read func(pgx.Rows) error // nil: the rows are of no interest
}

// Batch runs statements one after the other and sends them together. Outside a transaction they are one
// of their own, in one round trip (two when the connection meets a statement for the first time, one
// more when it was idle for over a second): it is then committed even if a Read gives an error.
func (db *DB) Batch(ctx context.Context, statements ...Statement) error {
	if t := txFrom(ctx); t != nil {
		return translate(t.run(ctx, statements))
	}
	who, err := identityOf(ctx)
	if err != nil {
		return err
	}
	conn, release, err := db.acquire(ctx, who.tenant)
	if err != nil {
		return translate(err)
	}
	defer release()
	return translate(send(ctx, conn, append([]Statement{who.prelude(assumed(conn))}, statements...)))
}

type sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// send sends statements together and reads their results. Without a transaction a batch is an implicit
// one: its commit happens when the results are closed, so an error of the close is a failed commit.
func send(ctx context.Context, to sender, statements []Statement) (err error) {
	b := &pgx.Batch{}
	for _, s := range statements {
		b.Queue(s.SQL, s.Args...)
	}
	results := to.SendBatch(ctx, b)
	defer func() {
		if cerr := results.Close(); err == nil && cerr != nil {
			err = cerr
		}
	}()
	for _, s := range statements {
		rows, err := results.Query()
		if err != nil {
			return err
		}
		if err := s.read(rows); err != nil {
			return err
		}
	}
	return nil
}

func (s Statement) read(rows pgx.Rows) error {
	defer rows.Close()
	if s.Read != nil {
		if err := s.Read(rows); err != nil {
			return err
		}
	}
	rows.Close()
	return rows.Err()
}

// Exec runs one statement and gives the number of rows that it touched.
func (db *DB) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	var n int64
	err := db.Query(ctx, sql, args, func(rows pgx.Rows) error {
		rows.Close()
		n = rows.CommandTag().RowsAffected()
		return nil
	})
	return n, err
}

// Row reads at most one row into value; ok (nil: of no interest) is set to whether there was one.
func Row[T any](value *T, ok *bool, scan pgx.RowToFunc[T]) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		found := rows.Next()
		if ok != nil {
			*ok = found
		}
		if !found {
			return rows.Err()
		}
		v, err := scan(rows)
		if err == nil {
			*value = v
		}
		return err
	}
}

// Rows reads all rows into values, which is never nil afterwards.
func Rows[T any](values *[]T, scan pgx.RowToFunc[T]) func(pgx.Rows) error {
	return func(rows pgx.Rows) (err error) {
		*values, err = pgx.CollectRows(rows, scan)
		return err
	}
}

// One runs a statement that gives at most one row. ok is false when there is none.
func One[T any](ctx context.Context, db *DB, sql string, args []any, scan pgx.RowToFunc[T]) (value T, ok bool, err error) {
	err = db.Query(ctx, sql, args, Row(&value, &ok, scan))
	return value, ok && err == nil, err
}

// All runs a statement and collects its rows; the slice is never nil.
func All[T any](ctx context.Context, db *DB, sql string, args []any, scan pgx.RowToFunc[T]) (values []T, err error) {
	err = db.Query(ctx, sql, args, Rows(&values, scan))
	return values, err
}
