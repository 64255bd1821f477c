package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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
	who   identity     // as whom the last statement ran
	last  []attributed // sent with the commit
	after []func()
}

// attributed is a statement and as whom it runs.
type attributed struct {
	who       identity
	statement Statement
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
	who, _ := identityOf(ctx) // without a tenant it is the system's; a statement of it fails by itself
	conn, release, err := db.acquire(ctx, who.tenant)
	if err != nil {
		return nil, err
	}
	defer release()
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

// Finally adds statements to the end of the context's transaction: they are sent with its commit, in the
// round trip of that, each as the tenant of its own context. When one fails all is undone; their Read runs
// before the commit is known to have happened and cannot refuse it. Without a transaction it is Batch.
func (db *DB) Finally(ctx context.Context, statements ...Statement) error {
	t := txFrom(ctx)
	if t == nil {
		return db.Batch(ctx, statements...)
	}
	who, err := identityOf(ctx)
	if err != nil {
		return err
	}
	for _, s := range statements {
		t.last = append(t.last, attributed{who, s})
	}
	return nil
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
	return t.send(ctx, t.as(who, statements...))
}

func (t *tx) send(ctx context.Context, batch []Statement) error {
	if len(batch) > 1 {
		return send(ctx, t.conn, batch)
	}
	rows, err := t.conn.Query(ctx, batch[0].SQL, batch[0].Args...)
	if err != nil {
		return err
	}
	return batch[0].read(rows)
}

// as puts in front of the statements what the transaction still needs for them.
func (t *tx) as(who identity, statements ...Statement) []Statement {
	var batch []Statement
	if !t.begun {
		batch = append(batch, Statement{SQL: "begin"})
	}
	if !t.begun || t.who != who {
		// Within a transaction the system's role may have been taken before.
		batch = append(batch, who.prelude(!t.begun && assumed(t.conn)))
	}
	t.begun, t.who = true, who
	return append(batch, statements...)
}

// over reports that there is no transaction although one was begun: its first statement did not even
// parse, so that nothing of the batch was sent. Another statement would run without role and claim.
func (t *tx) over() bool { return t.begun && t.conn.Conn().PgConn().TxStatus() == 'I' }

func (t *tx) commit(ctx context.Context) error {
	if !t.begun && len(t.last) == 0 {
		return nil
	}
	if t.over() {
		return errRolledBack
	}
	tag, err := t.end(ctx)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	// COMMIT of a transaction that an earlier error aborted answers ROLLBACK, and no error.
	if tag.String() != "COMMIT" {
		return errRolledBack
	}
	return nil
}

func (t *tx) end(ctx context.Context) (tag pgconn.CommandTag, err error) {
	if len(t.last) == 0 {
		return t.conn.Exec(ctx, "commit")
	}
	var batch []Statement
	for _, l := range t.last {
		batch = append(batch, t.as(l.who, l.statement)...)
	}
	err = t.send(ctx, append(batch, Statement{SQL: "commit", Read: func(rows pgx.Rows) error {
		rows.Close()
		tag = rows.CommandTag()
		return rows.Err()
	}}))
	return tag, err
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
