package api

import (
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/platform/auth"
)

// cors lets pages of other origins call the API from a browser (Fetch Standard §3.3). Credentials are headers that the
// page sets, never cookies, so it is a matter of reading: Access-Control-Allow-Credentials is never sent.
type cors map[string]struct{}

func newCORS(origins []string) cors {
	c := cors{}
	for _, o := range origins {
		c[o] = struct{}{}
	}
	return c
}

const (
	// corsMaxAge is how long a browser remembers the answer to a preflight, in seconds; Chromium takes no more.
	corsMaxAge = "7200"

	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
)

// corsRequestHeaders are what a page may send beyond what every page may.
func corsRequestHeaders() string {
	return strings.Join([]string{
		fiber.HeaderAuthorization, "X-Api-Key", auth.TenantHeader, fiber.HeaderContentType, headerIdempotencyKey, headerRequestID,
		"Last-Event-ID", fiber.HeaderIfNoneMatch, fiber.HeaderCacheControl, "traceparent", "tracestate",
	}, ", ")
}

// corsExposed are the response headers that a page may read beyond what every page may.
func corsExposed() string {
	return strings.Join([]string{
		headerRequestID, auth.TenantHeader, fiber.HeaderLocation, fiber.HeaderRetryAfter, fiber.HeaderWWWAuthenticate, fiber.HeaderAllow,
		fiber.HeaderETag, fiber.HeaderContentDisposition, headerReplayed, headerRate, headerRatePolicy, headerQuotaWarning,
	}, ", ")
}

// preflight answers the question whether a request may be sent. It reports whether it was one, of an origin that is
// allowed; everything else goes on to the router.
func (c cors) preflight(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	if string(ctx.Method()) != fiber.MethodOptions || len(h.Peek(fiber.HeaderAccessControlRequestMethod)) == 0 || c.allowed(h) == "" {
		return false
	}
	out := &ctx.Response.Header
	out.Set(fiber.HeaderAccessControlAllowMethods, corsMethods)
	out.Set(fiber.HeaderAccessControlAllowHeaders, corsRequestHeaders())
	out.Set(fiber.HeaderAccessControlMaxAge, corsMaxAge)
	ctx.Response.SetStatusCode(fiber.StatusNoContent)
	return true
}

// allowed returns the request's origin if it may read answers; "" otherwise.
func (c cors) allowed(h *fasthttp.RequestHeader) string {
	origin, sent := header(h, fiber.HeaderOrigin)
	if _, known := c[origin]; !sent || !known {
		return ""
	}
	return origin
}

// mark sets what every answer says to a page of another origin. Answers differ by origin, which caches must know
// whoever asks.
func (c cors) mark(ctx *fasthttp.RequestCtx) {
	if len(c) == 0 {
		return
	}
	out := &ctx.Response.Header
	if vary := string(out.Peek(fiber.HeaderVary)); vary == "" {
		out.Set(fiber.HeaderVary, fiber.HeaderOrigin)
	} else {
		out.Set(fiber.HeaderVary, vary+", "+fiber.HeaderOrigin)
	}
	if origin := c.allowed(&ctx.Request.Header); origin != "" {
		out.Set(fiber.HeaderAccessControlAllowOrigin, origin)
		out.Set(fiber.HeaderAccessControlExposeHeaders, corsExposed())
	}
}
