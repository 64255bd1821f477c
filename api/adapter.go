package api

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/url"
	"time"

	"github.com/go-playground/validator/v10"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

// adapter is the one way from a request to a route's function. Nothing goes round it.
type adapter struct {
	auth      *auth.Authenticator
	keys      *idempotency.Keys
	validator *validator.Validate
	streams   *streams
	trail     Trail
	limiter   Rate // nil: there is none
	proxies   proxies
	log       *slog.Logger
	base      context.Context //nolint:containedctx // ends when the process may wait no longer for requests
	timeout   time.Duration
}

// handler is what the router calls for the route.
func (a *adapter) handler(r *Route) fiber.Handler {
	timeout := a.timeout
	if r.Meta.Timeout > 0 {
		timeout = r.Meta.Timeout
	}
	return func(c *fiber.Ctx) error {
		x := exchangeOf(c.Context())
		x.c, x.route = c, r
		// Fiber's own context does not end when the caller leaves; this one ends at least in time.
		ctx, stop := context.WithTimeout(a.base, timeout)
		defer stop()
		x.run = x.about()
		a.run(x.within(ctx), x)
		return nil
	}
}

// run admits the request, answers it, and takes it down: whatever asks for a change on behalf of a tenant
// is in the trail, also when it was refused or the function panicked. What the rate limit refused is not:
// a flood must not reach the database by way of its refusals.
func (a *adapter) run(ctx context.Context, x *exchange) {
	ctx, err := a.admit(ctx, x)
	ended := false
	if x.route.mutates() && !fault.Is(err, fault.RateLimited) {
		defer func() {
			if s := scope.From(ctx); s.Tenant != uuid.Nil || x.made() != uuid.Nil {
				if made := x.made(); made != uuid.Nil {
					s.Tenant = made
				}
				a.takeDown(scope.With(ctx, s), x, ended)
			}
		}()
	}
	if err == nil {
		err = a.answer(ctx, x)
	}
	if err != nil {
		a.fail(ctx, x, err)
	}
	ended = true
}

// answer calls the route. One that may take long, such as waiting for a run, ends with the caller's credential, and is
// answered as a new request with it would be.
func (a *adapter) answer(ctx context.Context, x *exchange) error {
	if x.route.Meta.Timeout <= a.streams.rechecker.every {
		return x.route.answer(ctx, a, x)
	}
	joined, leave := a.streams.rechecker.join(ctx, x)
	defer leave()
	err := x.route.answer(joined, a, x)
	if ended := closingFault(joined); ended != nil && ctx.Err() == nil {
		return ended
	}
	return err
}

// admit authenticates, settles the tenant, asks for the permission and then for the rate limit, in this order. The tenant of
// everything below is the one in the context that it gives, which holds one also when only the permission
// is missing.
func (a *adapter) admit(ctx context.Context, x *exchange) (context.Context, error) {
	s := scope.Scope{RequestID: x.requestID, Run: x.run}
	if x.route.Permission == auth.Public {
		return scope.With(ctx, s), nil
	}
	h := &x.http.Request.Header
	authorization, _ := header(h, fiber.HeaderAuthorization)
	key, _ := header(h, "X-Api-Key")
	p, err := a.auth.Authenticate(ctx, authorization, key)
	if err != nil {
		return ctx, err
	}
	x.principal, x.credential = p, credential{authorization, key}
	s.Actor, s.Platform = p.Subject, p.Service
	if s.Tenant, err = a.ensureTenantHeader(x); err != nil {
		return ctx, err
	}
	x.tenant = s.Tenant
	ctx = auth.With(scope.With(ctx, s), p)
	for _, needed := range x.route.needs {
		may := p.Can(s.Tenant, needed)
		if s.Tenant == uuid.Nil {
			may = p.CanSomewhere(needed)
		}
		if !may {
			return ctx, fault.New(fault.Forbidden, "This needs the permission %s.", needed)
		}
	}
	if x.route.Meta.Creates {
		ctx = x.warning(ctx)
	}
	return ctx, a.rate(ctx, x, s.Tenant)
}

// ensureTenantHeader settles which tenant the request acts in and says so in the response. Where the path
// names a tenant it is that one. Only a route of no tenant does without.
func (a *adapter) ensureTenantHeader(x *exchange) (tenant uuid.UUID, err error) {
	value, present := header(&x.http.Request.Header, auth.TenantHeader)
	if !present && x.route.ofPlatform() && x.principal.Service {
		return uuid.Nil, nil // also where the token has a default: what the platform does is no tenant's
	}
	if x.route.named {
		path, _ := url.PathUnescape(x.c.Params(tenantParam)) // what cannot be unescaped is no id either
		tenant, err = auth.ResolveNamedTenant(path, value, present, x.principal)
	} else {
		tenant, err = auth.ResolveTenant(value, present, x.principal)
	}
	if err != nil {
		if !present && (x.route.Meta.Anywhere || x.route.ofPlatform()) {
			return uuid.Nil, nil // the permission decides
		}
		return uuid.Nil, err
	}
	x.label = tenant.String() // one tenant has one label, however the caller writes it
	x.http.Response.Header.Set(auth.TenantHeader, x.label)
	return tenant, nil
}

// read fills the input, checks the permissions that its fields ask for, and validates it.
func (a *adapter) read(ctx context.Context, x *exchange, in any) error {
	if err := x.route.plan.bind(x.c, in); err != nil {
		return err
	}
	if err := x.route.plan.checkGuards(x.principal, scope.Tenant(ctx), in); err != nil {
		return err
	}
	return validate(a.validator, x.route.plan, in)
}

const (
	headerIdempotencyKey = "Idempotency-Key"
	headerReplayed       = "Idempotency-Replayed"
)

// once runs do at most once per Idempotency-Key, which the request has. do writes the response.
func (a *adapter) once(ctx context.Context, x *exchange, do func(context.Context) error) error {
	c := x.http
	key, _ := header(&c.Request.Header, headerIdempotencyKey)
	if err := idempotency.CheckKey(key); err != nil {
		return err
	}
	r := idempotency.Request{Route: x.route.name(), Key: key, Hash: requestHash(x)}
	if x.route.Meta.Resumes {
		again, err := a.keys.Resume(ctx, r, do)
		if again {
			c.Response.Header.Set(headerReplayed, "true")
		}
		if again && fault.Is(err, fault.NotFound) && len(x.route.plan.path) == 0 { // nothing else could be missing
			err = fault.New(fault.Conflict, "What the first request with this Idempotency-Key made is gone.")
		}
		return err
	}
	answer, replayed, err := a.keys.Do(ctx, r, func(ctx context.Context) (idempotency.Answer, error) {
		if err := do(ctx); err != nil {
			return idempotency.Answer{}, err
		}
		return idempotency.Answer{
			Status: c.Response.StatusCode(), Location: string(c.Response.Header.Peek(fiber.HeaderLocation)),
			Body: append([]byte(nil), c.Response.Body()...),
		}, nil
	})
	if err != nil || !replayed {
		return err
	}
	c.Response.Header.Set(headerReplayed, "true")
	if answer.Location != "" {
		c.Response.Header.Set(fiber.HeaderLocation, answer.Location)
	}
	writeBody(c, answer.Status, answer.Body)
	return nil
}

// requestHash tells requests with the same key apart: method, target and body.
func requestHash(x *exchange) [sha256.Size]byte {
	h := sha256.New()
	c := x.http
	for _, part := range [][]byte{c.Method(), c.RequestURI(), c.Request.Body()} {
		_, _ = h.Write(part)
		_, _ = h.Write([]byte{0}) // occurs in none of them: the body is JSON
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// fail turns an error into a problem document and logs what is not the caller's doing.
func (a *adapter) fail(ctx context.Context, x *exchange, err error) {
	if a.base.Err() != nil {
		err = shutdownError(err)
	}
	f := classify(err)
	x.code = f.Code
	writeProblem(x.http, f, x.requestID, 0)
	if t, _ := translate(f.Code); t.status >= 500 {
		level := slog.LevelError
		if f.Code != fault.Internal {
			level = slog.LevelWarn
		}
		a.log.LogAttrs(ctx, level, "request failed", slog.String("request_id", x.requestID),
			slog.String("route", x.name()), slog.String("tenant_id", x.label),
			slog.String("code", string(f.Code)), slog.Any("error", err))
	}
}
