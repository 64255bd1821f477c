package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrTransactionPooler is the error of CheckSession for connections whose session is not theirs alone.
var ErrTransactionPooler = errors.New("a transaction pooler is in between: session state and notifications are lost")

// ErrOtherDatabase is the error of CheckSession for two addresses that do not lead to the same database.
var ErrOtherDatabase = errors.New("notifications of one are not heard by the other: they lead to different databases")

const (
	sessionConnect = 3 * time.Second
	// sessionPatience is how long a notification is waited for. It is long because a verdict ends the process, and
	// only a bad connection waits.
	sessionPatience = 10 * time.Second
)

// CheckSession tries whether connections to direct have sessions of their own, as LISTEN, prepared statements and
// migrations need, and whether they hear what is notified over connections to url. Errors: ErrTransactionPooler,
// ErrOtherDatabase, and Unavailable when nobody answers.
func CheckSession(ctx context.Context, direct, url string) error {
	listener, err := connectSimple(ctx, direct)
	if err != nil {
		return translate(err)
	}
	defer closeQuietly(ctx, listener)
	other, err := connectSimple(ctx, direct)
	if err != nil {
		return translate(err)
	}
	defer closeQuietly(ctx, other)
	token := rand.Text()
	if _, err := listener.Exec(ctx, `select set_config('lari.session_check', $1, false)`, token); err != nil {
		return translate(err)
	}
	channel := pgx.Identifier{"lari_check_" + token}
	if _, err := listener.Exec(ctx, "listen "+channel.Sanitize()); err != nil {
		return translate(err)
	}
	if err := keepsState(ctx, listener, other, token); err != nil {
		return translate(err)
	}
	notifier, err := connectSimple(ctx, url)
	if err != nil {
		return translate(err)
	}
	defer closeQuietly(ctx, notifier)
	if heard, err := hears(ctx, listener, notifier, channel[0], "from the pool"); err != nil || heard {
		return translate(err)
	}
	if heard, err := hears(ctx, listener, other, channel[0], "from a neighbour"); err != nil || !heard {
		return errors.Join(translate(err), ErrTransactionPooler)
	}
	return ErrOtherDatabase
}

// connectSimple connects without prepared statements, so that what is tried fails for its own reason.
func connectSimple(ctx context.Context, url string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the database address: %w", err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	cfg.ConnectTimeout = sessionConnect
	return pgx.ConnectConfig(ctx, cfg)
}

func closeQuietly(ctx context.Context, conn *pgx.Conn) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer stop()
	_ = conn.Close(ctx)
}

// keepsState holds a transaction open on the other connection, so that a pooler has to give the first one another
// server, or finds both on the same one.
func keepsState(ctx context.Context, first, other *pgx.Conn, token string) error {
	var mine, theirs, later uint32
	if err := first.QueryRow(ctx, `select pg_backend_pid()`).Scan(&mine); err != nil {
		return err
	}
	if _, err := other.Exec(ctx, "begin"); err != nil {
		return err
	}
	defer func() { _, _ = other.Exec(ctx, "rollback") }()
	if err := other.QueryRow(ctx, `select pg_backend_pid()`).Scan(&theirs); err != nil {
		return err
	}
	if mine == theirs {
		return ErrTransactionPooler
	}
	var state *string
	if err := first.QueryRow(ctx, `select pg_backend_pid(), current_setting('lari.session_check', true)`).Scan(&later, &state); err != nil {
		return err
	}
	if later != mine || state == nil || *state != token {
		return ErrTransactionPooler
	}
	return nil
}

// hears reports whether the listener hears what the notifier says.
func hears(ctx context.Context, listener, notifier *pgx.Conn, channel, payload string) (bool, error) {
	if _, err := notifier.Exec(ctx, `select pg_notify($1, $2)`, channel, payload); err != nil {
		return false, err
	}
	waiting, stop := context.WithTimeout(ctx, sessionPatience)
	defer stop()
	n, err := listener.WaitForNotification(waiting)
	if err != nil && waiting.Err() != nil {
		return false, ctx.Err()
	}
	return err == nil && n.Channel == channel && n.Payload == payload, err
}
