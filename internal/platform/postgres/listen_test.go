package postgres_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// listen runs a listener until the test ends and gives what it reports.
func listen(t *testing.T, url string, silence time.Duration) (connected <-chan struct{}, notified <-chan string) {
	t.Helper()
	c, n := make(chan struct{}, 16), make(chan string, 16)
	listener := postgres.Listener{
		URL: url, Channel: `odd "name"`, Silence: silence,
		Connected: func() { c <- struct{}{} }, Disconnected: func() {}, Notified: func(payload string) { n <- payload },
		Log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { listener.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return c, n
}

func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func TestListenerHearsInOrder(t *testing.T) {
	t.Parallel()
	d := pgtest.NewEmpty(t)
	connected, notified := listen(t, d.URL, time.Millisecond) // so that it asks all the time, and loses nothing by it
	receive(t, "the connection", connected)
	super := d.Conn(t)
	for i := range 200 {
		want := string(rune('a' + i%26))
		run(t, super, `select pg_notify('odd "name"', '`+want+`')`)
		if got := receive(t, "a notification", notified); got != want {
			t.Fatalf("heard %q, want %q", got, want)
		}
	}
	if len(connected) > 0 {
		t.Error("a living server was left")
	}
}

func TestListenerComesBack(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(t *testing.T, d *pgtest.Database, p *proxy){
		"after its session was terminated": func(t *testing.T, d *pgtest.Database, _ *proxy) {
			run(t, d.Conn(t), `select pg_terminate_backend(pid, 5000) from pg_stat_activity
				where datname = current_database() and pid <> pg_backend_pid()`)
		},
		"after the connection broke": func(_ *testing.T, _ *pgtest.Database, p *proxy) { p.cut() },
		"after the server was away":  func(_ *testing.T, _ *pgtest.Database, p *proxy) { p.down(); p.up() },
		"after the server fell silent": func(_ *testing.T, _ *pgtest.Database, p *proxy) {
			p.silent.Store(true)
			time.AfterFunc(200*time.Millisecond, func() { p.silent.Store(false) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := pgtest.NewEmpty(t)
			p, url := newProxy(t, d.URL)
			connected, notified := listen(t, url, 50*time.Millisecond)
			for range 2 {
				receive(t, "the connection", connected)
				run(t, d.Conn(t), `select pg_notify('odd "name"', 'hello')`)
				if got := receive(t, "the notification", notified); got != "hello" {
					t.Errorf("heard %q", got)
				}
				interrupt(t, d, p)
			}
			receive(t, "the connection", connected)
		})
	}
}

func TestListenerSaysWhyItIsAway(t *testing.T) {
	t.Parallel()
	d := pgtest.NewEmpty(t)
	p, url := newProxy(t, d.URL)
	p.down()
	ctx, cancel := context.WithCancel(t.Context())
	warned := make(chan []byte, 16)
	listener := postgres.Listener{
		URL: url, Channel: "c", Connected: func() {}, Disconnected: func() {}, Notified: func(string) {},
		Log: slog.New(slog.NewTextHandler(lines(warned), nil)),
	}
	var wg sync.WaitGroup
	wg.Go(func() { listener.Run(ctx) })
	line := receive(t, "a warning", warned)
	cancel()
	wg.Wait() // it ends although it never got a connection
	if !bytes.Contains(line, []byte("level=WARN")) || bytes.Contains(line, []byte("password")) {
		t.Errorf("warned with %s", line)
	}
}

type lines chan<- []byte

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- bytes.Clone(p):
	default:
	}
	return len(p), nil
}
