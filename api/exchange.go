package api

import (
	"bytes"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

// exchange is what is known of a request while it is served; it is used again for another one after.
type exchange struct {
	http       *fasthttp.RequestCtx
	c          *fiber.Ctx // only while the route runs: Fiber takes it back also when that panics
	route      *Route     // nil: no route answers it
	began      time.Time
	requestID  string
	label      string // the tenant as text, for metrics; "" before it is known
	principal  *auth.Principal
	tenant     uuid.UUID  // it acts in; uuid.Nil: in none, or it is not known yet
	credential credential // as it was sent
	code       fault.Code // of the refusal; "" while there is none
	run        uuid.UUID  // that the path names; uuid.Nil: none
	span       trace.Span // nil: there is none
}

type exchangeKey struct{}

func exchangeOf(ctx *fasthttp.RequestCtx) *exchange {
	x, _ := ctx.UserValue(exchangeKey{}).(*exchange)
	return x
}

// unmatched stands for the route in metrics of requests that no route answers: their paths are the
// caller's invention and must not become labels.
const unmatched = "_unmatched"

func (x *exchange) template() string {
	if x.route == nil {
		return unmatched
	}
	return x.route.Path
}

// name is the route's, for logs.
func (x *exchange) name() string {
	if x.route == nil {
		return unmatched
	}
	return x.route.name()
}

// made gives the tenant that the request has made, uuid.Nil for none. Its making is the first entry of its
// trail.
func (x *exchange) made() uuid.UUID {
	location := x.http.Response.Header.Peek(fasthttp.HeaderLocation)
	if x.route.subject.makes != "tenant" || len(location) == 0 {
		return uuid.Nil
	}
	id, err := uuid.ParseBytes(location[bytes.LastIndexByte(location, '/')+1:])
	if err != nil {
		return uuid.Nil
	}
	return id
}

// keyed reports whether the request is one that an Idempotency-Key makes safe to repeat.
func (x *exchange) keyed() bool {
	return x.route.Meta.Creates && len(x.http.Request.Header.PeekAll(headerIdempotencyKey)) > 0
}

const headerRequestID = "X-Request-Id"

// requestID takes the caller's id if it is fit for logs, else makes one.
func requestID(h *fasthttp.RequestHeader) string {
	if given := h.Peek(headerRequestID); saneID(given) {
		return string(given)
	}
	id, err := uuid.NewV7()
	if err != nil {
		id = uuid.New()
	}
	return id.String()
}

func saneID(id []byte) bool {
	for _, c := range id {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return len(id) >= 1 && len(id) <= 128
}

// header gives a header's value, several joined by a comma (RFC 9110 §5.3), as a copy.
func header(h *fasthttp.RequestHeader, name string) (value string, present bool) {
	values := h.PeekAll(name)
	for i, v := range values {
		if i > 0 {
			value += ", "
		}
		value += string(v)
	}
	return value, len(values) > 0
}
