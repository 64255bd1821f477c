package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/framing"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/platform/tracing"
)

// Config bounds what a client may do to the server. Zero values stand for the defaults.
type Config struct {
	BodyLimit    int           // bytes; 1 MiB
	Timeout      time.Duration // of a route's function; 30 s
	ReadTimeout  time.Duration // for a whole request to arrive; 15 s
	WriteTimeout time.Duration // for an answer, or one write of a stream, to be taken; 30 s
	IdleTimeout  time.Duration // between two requests on a connection; 120 s
	Heartbeat    time.Duration // between two comments in a stream; 15 s, and less than WriteTimeout
	Recheck      time.Duration // between two checks of the credentials of open streams; 10 s

	// Origins of web pages that may call the API from a browser, as browsers send them; none: none may.
	Origins []string

	// HSTS is how long browsers are told to come back over TLS alone (RFC 6797), for where TLS ends before us; 0: they are
	// not told.
	HSTS time.Duration

	// TrustedProxies are the networks whose X-Forwarded-For is believed. None: a client's address is that
	// of its connection.
	TrustedProxies []netip.Prefix
}

func (c *Config) complete() error {
	for value, fallback := range map[*time.Duration]time.Duration{
		&c.Timeout: 30 * time.Second, &c.ReadTimeout: 15 * time.Second, &c.WriteTimeout: 30 * time.Second,
		&c.IdleTimeout: 2 * time.Minute, &c.Heartbeat: 15 * time.Second, &c.Recheck: 10 * time.Second,
	} {
		if *value == 0 {
			*value = fallback
		}
	}
	if c.BodyLimit == 0 {
		c.BodyLimit = 1 << 20
	}
	if c.Heartbeat >= c.WriteTimeout {
		return errors.New("the heartbeat must be shorter than the write timeout: it is what keeps a quiet stream's deadline ahead")
	}
	return nil
}

// Observe is told of every request when its answer is known: the tenant ("" before it is known), the
// route's path template ("_unmatched" when no route answers), method and status, and the time until the
// answer, or the first byte of a stream, was ready. Of a request whose trace is kept it is told which that is, and
// which run the request is about.
type Observe func(tenant, route, method string, status int, d time.Duration, e ...telemetry.Exemplar)

// Deps is what the server works with.
type Deps struct {
	Config Config
	Auth   *auth.Authenticator
	Keys   *idempotency.Keys // may be nil while no route creates
	Trail  Trail             // may be nil while no route is for changes
	Rate   Rate              // nil: requests are not limited

	// Standings says who is still a member, for streams that are open; nil: credentials alone are checked.
	Standings Standings

	Observe Observe         // nil: nothing is measured
	Begin   func()          // told of every request that arrives; nil: nobody is
	End     func()          // told when its answer, or the first byte of a stream, is ready
	Tracer  *tracing.Tracer // nil: requests are not traced
	Checks  []Check         // what readiness depends on
	Version string          // of this program, for the API's description
	Log     *slog.Logger
}

// Server serves a table of routes. It owns one goroutine per connection and two per stream, which end
// with Shutdown.
type Server struct {
	app        *fiber.App
	route      fasthttp.RequestHandler
	adapter    *adapter
	observe    Observe
	begin, end func()
	tracer     *tracing.Tracer
	hsts       string // the header's value; "": none
	cors       cors
	log        *slog.Logger
	stop       context.CancelCauseFunc
	spec       []byte
	table      []Entry

	exchanges exchanges

	mu       sync.Mutex
	listener net.Listener
	stopping bool
}

const (
	readBuffer = 16 << 10 // bytes; bounds a request's line and headers
	uncounted  = "OTHER"  // stands for invented methods in metrics
)

// New checks the table and makes a server of it. It adds the routes that every server has: health, the
// API's description and its documentation.
func New(d Deps, routes []Route) (*Server, error) {
	if err := d.Config.complete(); err != nil {
		return nil, err
	}
	if d.Auth == nil || d.Log == nil {
		return nil, errors.New("api: an authenticator and a logger are needed")
	}
	routes = slices.Concat(routes, healthRoutes(d.Checks, d.Log))
	if err := checkTable(routes); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	for _, r := range routes {
		if r.Meta.Creates && d.Keys == nil {
			return nil, fmt.Errorf("api: %s creates, but there is no store of idempotency keys", r.name())
		}
		if r.mutates() && d.Trail == nil {
			return nil, fmt.Errorf("api: %s is for changes, but there is no trail to take them down", r.name())
		}
	}
	spec, err := describe(routes, d.Version)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	pages, err := docsRoutes(spec)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	routes = slices.Concat(routes, pages)
	if err := checkTable(routes); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	return newServer(d, routes, spec), nil
}

func newServer(d Deps, routes []Route, spec []byte) *Server {
	base, stop := context.WithCancelCause(context.Background())
	idle := func() {}
	s := &Server{
		observe: d.Observe, begin: idle, end: idle, tracer: d.Tracer, log: d.Log, stop: stop, spec: spec,
		hsts: transportSecurity(d.Config.HSTS), cors: newCORS(d.Config.Origins),
	}
	if d.Begin != nil && d.End != nil {
		s.begin, s.end = d.Begin, d.End
	}
	if s.observe == nil {
		s.observe = func(string, string, string, int, time.Duration, ...telemetry.Exemplar) {}
	}
	s.adapter = &adapter{
		auth: d.Auth, keys: d.Keys, validator: newValidator(), log: d.Log, base: base, timeout: d.Config.Timeout,
		streams: newStreams(d.Config.Heartbeat, d.Config.WriteTimeout, newRechecker(d.Auth, d.Standings, d.Config.Recheck, d.Log), d.Log),
		trail:   d.Trail, limiter: d.Rate, proxies: d.Config.TrustedProxies,
	}
	s.app = fiber.New(fiber.Config{
		Immutable: true, StrictRouting: true, CaseSensitive: true, DisableStartupMessage: true,
		DisablePreParseMultipartForm: true,
		BodyLimit:                    d.Config.BodyLimit, ReadBufferSize: readBuffer,
		ReadTimeout: d.Config.ReadTimeout, WriteTimeout: d.Config.WriteTimeout, IdleTimeout: d.Config.IdleTimeout,
		ErrorHandler: s.refuse,
	})
	routes = slices.Clone(routes)
	sortTable(routes)
	for i := range routes {
		r := &routes[i]
		r.subject = subjectOf(r, routes)
		r.label, r.runAt, r.needs = r.name(), runAt(r.Path), r.permissions()
		s.table = append(s.table, Entry{
			ID: r.Meta.ID, Method: r.Method, Path: r.Path, Permission: r.Permission, Needs: slices.Clone(r.Meta.Needs),
			Fields: r.plan.guardedFields(), Creates: r.Meta.Creates, Stream: r.stream, Described: !r.hidden,
		})
		s.app.Add(r.Method, r.fiberPath(), s.adapter.handler(r))
		if r.Method == fiber.MethodGet {
			s.app.Add(fiber.MethodHead, r.fiberPath(), s.adapter.handler(r))
		}
	}
	s.route = s.app.Handler()
	s.app.Server().Handler = s.serve
	return s
}

// Spec is the API's description, OpenAPI 3.1 in JSON.
func (s *Server) Spec() []byte { return slices.Clone(s.spec) }

// Entry is what the table says of a route to those who only look at it.
type Entry struct {
	ID, Method, Path string
	Permission       auth.Permission
	Needs            []auth.Permission // beside Permission
	Fields           []GuardedField    // of the body that need a permission of their own
	Creates, Stream  bool
	Described        bool // it is part of the API's description
}

// GuardedField is a field of a route's body that needs a permission beside those of the route.
type GuardedField struct {
	Name       string // with the fields around it: run.webhook_url
	Permission auth.Permission
	Values     []string // that need it; none: all but the zero value
}

// Permissions lists what the caller of the route must hold.
func (e Entry) Permissions() []auth.Permission {
	return append([]auth.Permission{e.Permission}, e.Needs...)
}

// Table gives the routes that the server answers, as they are.
func (s *Server) Table() []Entry { return slices.Clone(s.table) }

// Handler is the whole server as a function, for use without a network.
func (s *Server) Handler() fasthttp.RequestHandler { return s.serve }

// Listen serves on a TCP address until Shutdown.
func (s *Server) Listen(ctx context.Context, addr string) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return s.Serve(ln)
}

// Serve answers the listener's connections until Shutdown; it returns nil then.
func (s *Server) Serve(ln net.Listener) error {
	if !s.serving(ln) {
		return nil
	}
	// fasthttp is lenient about where a request ends and what is a header; the listener is not.
	if err := s.app.Server().Serve(framing.NewListener(ln, readBuffer)); err != nil && !s.stopped() {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// serving keeps the listener for Shutdown, which may come before fasthttp knows of it; false: it came.
func (s *Server) serving(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		_ = ln.Close()
		return false
	}
	s.listener = ln
	return true
}

func (s *Server) stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// Shutdown stops accepting, ends all streams, waits for the requests under way until ctx ends, and then
// ends those as well. It gives ctx's error when not all were done by then.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	listener := s.listener
	s.mu.Unlock()
	s.adapter.streams.stop(ctx)
	err := s.app.ShutdownWithContext(ctx)
	if listener != nil {
		_ = listener.Close() // fasthttp closes only what it serves already
	}
	s.stop(errShutdown)
	if err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}
