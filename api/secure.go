package api

import (
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// noContent is the policy of answers that are data: a browser that is led to show one runs and loads nothing.
const noContent = "default-src 'none'; frame-ancestors 'none'"

// secure sets the headers that every answer owes, whoever made it. An answer that is not said to be fit for a cache is
// kept in none: it may be personal, and a shared cache before us knows neither tenants nor permissions.
func (s *Server) secure(h *fasthttp.ResponseHeader) {
	h.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	h.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	if len(h.Peek(fiber.HeaderContentSecurityPolicy)) == 0 {
		h.Set(fiber.HeaderContentSecurityPolicy, noContent)
	}
	if len(h.Peek(fiber.HeaderCacheControl)) == 0 {
		h.Set(fiber.HeaderCacheControl, "no-store")
	}
	if s.hsts != "" {
		h.Set(fiber.HeaderStrictTransportSecurity, s.hsts)
	}
}

// transportSecurity is the value of Strict-Transport-Security (RFC 6797 §6.1); "" for none.
func transportSecurity(maxAge time.Duration) string {
	if maxAge <= 0 {
		return ""
	}
	return "max-age=" + strconv.FormatInt(int64(maxAge/time.Second), 10)
}
