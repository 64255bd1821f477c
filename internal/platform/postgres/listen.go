package postgres

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Listener receives the notifications of one channel over a session of its own (LISTEN does not work
// through a transaction pooler).
type Listener struct {
	URL     string
	Channel string
	// Connected is called each time the session has been made, also the first: what was notified before
	// that is lost, so the receiver looks at the state itself.
	Connected func()
	// Disconnected is called each time the session has been lost or could not be made.
	Disconnected func()
	// Notified is called for each notification, in order.
	Notified func(payload string)
	// Silence is how long nothing may be heard before the server is asked whether it still lives; zero: 30 s.
	Silence time.Duration
	Probe   *Probe // is answered by this session; nil: there is none
	Log     *slog.Logger
}

const (
	reconnectMax  = 2 * time.Second // the longest pause between two tries to connect
	answerTimeout = 5 * time.Second // for connecting, and for the answer of a silent server
)

// Run listens until ctx ends and connects again whenever the session breaks.
func (l Listener) Run(ctx context.Context) {
	pause := 50 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		err := l.session(ctx)
		if ctx.Err() != nil {
			return
		}
		l.Disconnected()
		if time.Since(began) > 10*time.Second {
			pause = 50 * time.Millisecond
		}
		l.Log.WarnContext(ctx, "listening was interrupted, connecting again", "channel", l.Channel, "pause", pause, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, reconnectMax)
	}
}

func (l Listener) session(ctx context.Context) error {
	connecting, stop := context.WithTimeout(ctx, answerTimeout)
	defer stop()
	conn, err := pgx.Connect(connecting, l.URL)
	if err != nil {
		return err
	}
	defer func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer stop()
		_ = conn.Close(ctx)
	}()
	channels := []string{l.Channel}
	if l.Probe != nil {
		channels = append(channels, l.Probe.channel)
	}
	for _, channel := range channels {
		if _, err := conn.Exec(connecting, "listen "+pgx.Identifier{channel}.Sanitize()); err != nil {
			return err
		}
	}
	l.Connected()
	silence := l.Silence
	if silence == 0 {
		silence = 30 * time.Second
	}
	for {
		n, err := wait(ctx, conn, silence)
		if err != nil {
			return err
		}
		switch {
		case n == nil:
		case l.Probe != nil && n.Channel == l.Probe.channel:
			l.Probe.heard(n.Payload)
		default:
			l.Notified(n.Payload)
		}
	}
}

// wait gives the next notification, or nil when there was none for so long and the server has shown
// that it is alive: a peer lost behind a silent network is noticed only by asking.
func wait(ctx context.Context, conn *pgx.Conn, silence time.Duration) (*pgconn.Notification, error) {
	waiting, stop := context.WithTimeout(ctx, silence)
	defer stop()
	n, err := conn.WaitForNotification(waiting)
	if err == nil || ctx.Err() != nil || waiting.Err() == nil || conn.IsClosed() {
		return n, err
	}
	asking, stop := context.WithTimeout(ctx, max(time.Second, min(silence, answerTimeout)))
	defer stop()
	return nil, conn.Ping(asking)
}
