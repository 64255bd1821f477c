package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxTries bounds how often a transaction that lost a race (serialization, deadlock) is run again.
const maxTries = 4

// racePause bounds the random pause before the second try; it doubles with each further one.
const racePause = 10 * time.Millisecond

type txKey struct{}

// tx is one transaction. It begins with its first statement, in the same round trip: a transaction
// that turns out to need nothing costs nothing.
type tx struct {
	conn  *pgxpool.Conn
	begun bool
	who   identity // as whom the last statement ran
	after []func()
}

func txFrom(ctx context.Context) *tx {
	t, _ := ctx.Value(txKey{}).(*tx)
	return t
}

// Tx runs fn in one transaction: every statement below the context that fn gets belongs to it, and a
// Tx inside a Tx joins it. When fn returns an error all is undone. fn may run more than once (a lost
// race is tried again), so it changes nothing but the database; what must follow the commit is given
// to AfterCommit. One goroutine at a time uses a transaction.
func (db *DB) Tx(ctx context.Context, fn func(ctx context.Context) error) error {
	if txFrom(ctx) != nil {
		return fn(ctx)
	}
	var err error
	for try := range maxTries {
		var after []func()
		if after, err = db.tryTx(ctx, fn); err == nil {
			for _, f := range after {
				f()
			}
			return nil
		}
		if !lostRace(err) || ctx.Err() != nil || try == maxTries-1 {
			break
		}
		db.log.DebugContext(ctx, "transaction lost a race, trying again", "try", try+1, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(racePause << try)): //nolint:gosec // at once, the same two would meet again; nobody gains by guessing when
		}
	}
	return translate(err)
}

// tryTx gives what is to follow the commit; the connection is free again by then.
func (db *DB) tryTx(ctx context.Context, fn func(ctx context.Context) error) (after []func(), err error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	t := &tx{conn: conn}
	if err := fn(context.WithValue(ctx, txKey{}, t)); err != nil {
		t.rollback(ctx)
		return nil, err
	}
	if err := t.commit(ctx); err != nil {
		t.rollback(ctx)
		return nil, err
	}
	return t.after, nil
}

// AfterCommit runs f once the transaction of the context has been committed; at once when there is none.
func AfterCommit(ctx context.Context, f func()) {
	if t := txFrom(ctx); t != nil {
		t.after = append(t.after, f)
		return
	}
	f()
}

// run runs statements as the tenant of their own context: a transaction may serve several tenants in
// turn (the event log's group commit does), and each statement sees its tenant's rows only.
func (t *tx) run(ctx context.Context, statements []Statement) error {
	who, err := identityOf(ctx)
	if err != nil {
		return err
	}
	if t.over() {
		return errRolledBack
	}
	b := &pgx.Batch{}
	if !t.begun {
		b.Queue("begin")
	}
	if !t.begun || t.who != who {
		who.queue(b)
	}
	t.begun, t.who = true, who
	if b.Len() == 0 && len(statements) == 1 {
		rows, err := t.conn.Query(ctx, statements[0].SQL, statements[0].Args...)
		if err != nil {
			return err
		}
		return statements[0].read(rows)
	}
	return send(ctx, t.conn, b, statements)
}

// over reports that there is no transaction although one was begun: its first statement did not even
// parse, so that nothing of the batch was sent. Another statement would run without role and claim.
func (t *tx) over() bool { return t.begun && t.conn.Conn().PgConn().TxStatus() == 'I' }

func (t *tx) commit(ctx context.Context) error {
	if !t.begun {
		return nil
	}
	if t.over() {
		return errRolledBack
	}
	tag, err := t.conn.Exec(ctx, "commit")
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	// COMMIT of a transaction that an earlier error aborted answers ROLLBACK, and no error.
	if tag.String() != "COMMIT" {
		return errRolledBack
	}
	return nil
}

var errRolledBack = errors.New("the transaction had failed before its commit and was rolled back")

// rollback ends the transaction even when the caller's context has ended: otherwise the connection
// would go back to the pool inside it. A connection that cannot be rolled back is closed.
func (t *tx) rollback(ctx context.Context) {
	if !t.begun || t.over() || t.conn.Conn().IsClosed() {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if _, err := t.conn.Exec(ctx, "rollback"); err != nil {
		_ = t.conn.Conn().Close(ctx)
	}
}
