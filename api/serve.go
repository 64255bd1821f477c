package api

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/framing"
	"github.com/larirun/lari/internal/platform/scope"
)

// exchanges are used again: a request allocates none.
type exchanges struct{ pool sync.Pool }

func (e *exchanges) get() *exchange {
	x, _ := e.pool.Get().(*exchange)
	if x == nil {
		x = &exchange{}
	}
	return x
}

func (e *exchanges) put(x *exchange) {
	*x = exchange{}
	e.pool.Put(x)
}

// serve is the outermost layer: it meters every request, also those that are refused before a route is
// known, gives each its id and contains panics.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	x := s.exchanges.get()
	x.http, x.began, x.requestID = ctx, time.Now(), requestID(&ctx.Request.Header)
	ctx.SetUserValue(exchangeKey{}, x)
	s.begin()
	defer s.end()
	defer s.conclude(ctx, x)
	if s.tracer != nil {
		s.beginSpan(ctx, x)
	}
	if !knownMethod(ctx) { // Fiber would answer in plain text
		ctx.Response.Header.Set(fiber.HeaderAllow, allMethods)
		s.write(ctx, x, fault.New(fault.MethodNotAllowed, "The method is not one that this server knows."), 0)
		return
	}
	if s.cors.preflight(ctx) {
		return
	}
	s.route(ctx)
}

func (s *Server) conclude(ctx *fasthttp.RequestCtx, x *exchange) {
	if r := recover(); r != nil {
		s.adapter.fail(x.within(ctx), x, newPanicError(r))
	}
	ctx.Response.Header.Set(headerRequestID, x.requestID)
	s.secure(&ctx.Response.Header)
	s.cors.mark(ctx)
	s.meter(ctx, x)
	if x.span != nil {
		x.endSpan(ctx)
	}
	s.mention(ctx, x)
	ctx.RemoveUserValue(exchangeKey{})
	s.exchanges.put(x)
}

// meter observes the request, and allocates nothing for one whose trace is not kept.
func (s *Server) meter(ctx *fasthttp.RequestCtx, x *exchange) {
	took := time.Since(x.began)
	if e, kept := x.exemplar(); kept {
		s.observe(x.label, x.template(), methodLabel(ctx), ctx.Response.StatusCode(), took, e)
		return
	}
	s.observe(x.label, x.template(), methodLabel(ctx), ctx.Response.StatusCode(), took)
}

// mention logs every request for those who debug.
func (s *Server) mention(ctx *fasthttp.RequestCtx, x *exchange) {
	if !s.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	about := scope.Scope{RequestID: x.requestID, Run: x.run}
	about.Tenant, _ = uuid.Parse(x.label) // "": it is not known, and uuid.Nil
	s.log.LogAttrs(scope.With(x.within(ctx), about), slog.LevelDebug, "request answered", slog.String("route", x.template()),
		slog.String("method", methodLabel(ctx)), slog.Int("status", ctx.Response.StatusCode()), slog.Duration("took", time.Since(x.began)))
}

const allMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

func knownMethod(ctx *fasthttp.RequestCtx) bool { return methodLabel(ctx) != uncounted }

func methodLabel(ctx *fasthttp.RequestCtx) string {
	for _, m := range fiber.DefaultMethods {
		if string(ctx.Method()) == m {
			return m
		}
	}
	return uncounted
}

func (s *Server) write(ctx *fasthttp.RequestCtx, x *exchange, f *fault.Error, status int) {
	writeProblem(ctx, f, x.requestID, status)
}

// refuse answers what never reaches a route: Fiber's own errors, and those of fasthttp over requests
// that it cannot read, which come without an exchange because they never passed serve.
func (s *Server) refuse(c *fiber.Ctx, err error) error {
	ctx := c.Context()
	if x := exchangeOf(ctx); x != nil {
		s.refuseUnmatched(ctx, x, err)
		return nil
	}
	x := s.exchanges.get()
	x.http, x.began, x.requestID = ctx, time.Now(), requestID(&ctx.Request.Header)
	defer s.conclude(ctx, x)
	f, status := unreadable(framing.RefusalOf(ctx.Conn()), err)
	if f.Code == fault.TooLarge || framing.RefusalOf(ctx.Conn()) != nil {
		drain(unwrap(ctx.Conn()), ctx.Request.Header.ContentLength())
	}
	s.write(ctx, x, f, status)
	return nil
}

func (s *Server) refuseUnmatched(ctx *fasthttp.RequestCtx, x *exchange, err error) {
	var e *fiber.Error
	code := fiber.StatusInternalServerError
	if errors.As(err, &e) {
		code = e.Code
	}
	switch code {
	case fiber.StatusNotFound:
		s.write(ctx, x, fault.New(fault.NotFound, "There is nothing at this path."), 0)
	case fiber.StatusMethodNotAllowed:
		allow := string(ctx.Response.Header.Peek(fiber.HeaderAllow)) + ", " + fiber.MethodOptions
		ctx.Response.Header.Set(fiber.HeaderAllow, allow)
		if string(ctx.Method()) == fiber.MethodOptions {
			ctx.Response.SetStatusCode(fiber.StatusNoContent)
			return
		}
		s.write(ctx, x, fault.New(fault.MethodNotAllowed, "This path takes only %s.", allow), 0)
	default:
		s.log.LogAttrs(x.within(ctx), slog.LevelError, "the router failed", slog.String("request_id", x.requestID), slog.Any("error", err))
		s.write(ctx, x, fault.Wrap(err, fault.Internal, "%s", internalDetail), 0)
	}
}

// unreadable translates what Fiber made of fasthttp's errors. status is set where HTTP has a number of
// its own for the part of the request.
func unreadable(refusal *framing.Refusal, err error) (f *fault.Error, status int) {
	if refusal != nil {
		if !refusal.TooLarge {
			return fault.New(fault.Malformed, "%s", refusal.Detail), 0
		}
		err = fiber.ErrRequestHeaderFieldsTooLarge
	}
	var e *fiber.Error
	if !errors.As(err, &e) {
		return fault.Wrap(err, fault.Malformed, "The request is not valid HTTP."), 0
	}
	switch e.Code {
	case fiber.StatusRequestEntityTooLarge:
		return fault.New(fault.TooLarge, "The body is over the limit of this server."), 0
	case fiber.StatusRequestHeaderFieldsTooLarge:
		return fault.New(fault.TooLarge, "The request line and headers are over %d KiB.", readBuffer>>10), e.Code
	case fiber.StatusRequestTimeout:
		return fault.New(fault.Timeout, "The request did not arrive in time."), e.Code
	default:
		return fault.Wrap(err, fault.Malformed, "The request is not valid HTTP."), 0
	}
}

func shutdownError(err error) error { return fmt.Errorf("%w: %w", errShutdown, err) }
