package api

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/platform/fault"
)

// streams owns every open stream: each is one goroutine (and one for its source) that ends with its
// client, its source, or with stop.
type streams struct {
	ctx          context.Context //nolint:containedctx // ends all streams when the server shuts down
	cancel       context.CancelCauseFunc
	heartbeat    time.Duration
	writeTimeout time.Duration
	rechecker    *rechecker
	log          *slog.Logger

	mu      sync.Mutex
	stopped bool
	open    sync.WaitGroup
}

var errShutdown = errors.New("the server is shutting down")

func newStreams(heartbeat, writeTimeout time.Duration, r *rechecker, log *slog.Logger) *streams {
	s := &streams{heartbeat: heartbeat, writeTimeout: writeTimeout, rechecker: r, log: log}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// stop ends all streams, lets no new one begin and waits for them until ctx ends.
func (s *streams) stop(ctx context.Context) {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.cancel(errShutdown)
	idle := make(chan struct{})
	go func() {
		s.open.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

func (s *streams) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.open.Add(1)
	}
	return !s.stopped
}

// answer makes the response a stream. The request's context gives the stream its values, not its end.
func (s *streams) answer(request context.Context, x *exchange, source Source, location string) error {
	c := x.http
	if location != "" {
		c.Response.Header.Set(fasthttp.HeaderLocation, location)
	}
	if source == nil {
		c.Response.SetStatusCode(fasthttp.StatusNoContent)
		return nil
	}
	h := &c.Response.Header
	h.SetContentType("text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back to fill its buffer
	c.Response.SetStatusCode(fasthttp.StatusOK)
	if c.IsHead() {
		return nil
	}
	if !s.begin() {
		return fault.Wrap(errShutdown, fault.Unavailable, "The server is shutting down.")
	}
	c.Response.ImmediateHeaderFlush = true

	ctx, cancel := s.contextOf(request, x)
	conn := c.Conn()
	extend := s.extender(conn)
	requestID, route := x.requestID, x.route.name() // x belongs to another request by then
	c.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer s.open.Done()
		defer cancel()
		out := sse{w: w, extend: extend, heartbeat: s.heartbeat}
		if err := out.run(ctx, source); err != nil && !errors.Is(err, errClientGone) && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "a stream broke off", "request_id", requestID, "route", route, "error", err)
		}
	})
	return nil
}

// extender gives what moves the deadline for writing to a client.
func (s *streams) extender(conn net.Conn) func() error {
	return func() error { return conn.SetWriteDeadline(time.Now().Add(s.writeTimeout)) }
}

// contextOf ends with the server and with the caller's credential.
func (s *streams) contextOf(request context.Context, x *exchange) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(request))
	unlink := context.AfterFunc(s.ctx, func() { cancel(errShutdown) })
	ctx, leave := s.rechecker.join(ctx, x)
	return ctx, func() { leave(); unlink(); cancel(nil) }
}
