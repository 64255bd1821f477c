package api

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/platform/fault"
)

// Problem is the body of every answer that is not a success (RFC 9457).
type Problem struct {
	Type     string        `json:"type" format:"uri-reference" description:"Where the code is explained" example:"/problems/validation_failed"`
	Title    string        `json:"title" description:"The code in words; the same for every occurrence" example:"The request breaks a rule"`
	Status   int           `json:"status" description:"The HTTP status" example:"422"`
	Detail   string        `json:"detail" description:"What happened this time" example:"budget.max_steps must be at least 1"`
	Code     fault.Code    `json:"code" description:"What went wrong, from a closed list: switch on this" example:"validation_failed"`
	Instance string        `json:"instance" description:"The X-Request-Id of the request" example:"0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f"`
	Errors   []fault.Field `json:"errors,omitempty" description:"The inputs that are at fault"`
}

const problemType = "application/problem+json"

// translation is what a code looks like from outside.
type translation struct {
	status int
	title  string
	retry  bool // the answer carries Retry-After
}

// translate is the one place where codes meet HTTP.
func translate(code fault.Code) (translation, bool) {
	switch code {
	case fault.Malformed:
		return translation{400, "The request cannot be read", false}, true
	case fault.Unauthenticated:
		return translation{401, "No valid credential", false}, true
	case fault.Forbidden:
		return translation{403, "Not permitted", false}, true
	case fault.TenantSuspended:
		return translation{403, "The tenant is suspended", false}, true
	case fault.NotFound:
		return translation{404, "Not found", false}, true
	case fault.MethodNotAllowed:
		return translation{405, "Method not allowed", false}, true
	case fault.Conflict:
		return translation{409, "The current state refuses the operation", false}, true
	case fault.RunFinal:
		return translation{409, "The run has ended", false}, true
	case fault.ThreadBusy:
		return translation{409, "Another run is active on the thread", false}, true
	case fault.IdempotencyBusy:
		return translation{409, "The first request is still being answered", true}, true
	case fault.TooLarge:
		return translation{413, "The request is too large", false}, true
	case fault.UnsupportedMedia:
		return translation{415, "Unsupported media type", false}, true
	case fault.Invalid:
		return translation{422, "The request breaks a rule", false}, true
	case fault.IdempotencyMismatch:
		return translation{422, "The idempotency key belongs to another request", false}, true
	case fault.RateLimited:
		return translation{429, "Too many requests", true}, true
	case fault.QuotaExceeded:
		return translation{429, "A quota is used up", true}, true
	case fault.Cancelled:
		return translation{499, "The request was cancelled", false}, true // nginx's number: HTTP has none
	case fault.Internal:
		return translation{500, "Internal error", false}, true
	case fault.Paused:
		return translation{503, "Nothing new is begun", true}, true
	case fault.Unavailable:
		return translation{503, "Temporarily unavailable", true}, true
	case fault.Timeout:
		return translation{504, "The operation took too long", false}, true
	}
	return translation{500, "Internal error", false}, false
}

const internalDetail = "Something went wrong on our side. The instance names this request in our logs."

// classify finds the fault in an error. What no one gave a code is Internal, but for the end of the
// request's own context.
func classify(err error) *fault.Error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f
	}
	switch {
	case errors.Is(err, errShutdown):
		return fault.Wrap(err, fault.Unavailable, "The server is shutting down.")
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(err, fault.Timeout, "The operation did not finish in time.")
	case errors.Is(err, context.Canceled):
		return fault.Wrap(err, fault.Cancelled, "The request was cancelled.")
	}
	return fault.Wrap(err, fault.Internal, "%s", internalDetail)
}

// writeProblem replaces whatever the response held. status is 0 for the code's own; HTTP has a few that
// say the same thing of another part of the request (408, 431).
func writeProblem(ctx *fasthttp.RequestCtx, f *fault.Error, requestID string, status int) {
	t, known := translate(f.Code)
	p := Problem{
		Type: "/problems/" + string(f.Code), Title: t.title, Status: t.status,
		Detail: f.Detail, Code: f.Code, Instance: requestID, Errors: f.Fields,
	}
	if !known || f.Code == fault.Internal {
		p.Type, p.Code, p.Detail, p.Errors = "/problems/"+string(fault.Internal), fault.Internal, internalDetail, nil
	}
	if status != 0 {
		p.Status = status
	}
	r := &ctx.Response
	r.ResetBody()
	r.Header.Del("Location")
	r.Header.SetContentType(problemType)
	r.Header.Set("Cache-Control", "no-store")
	r.SetStatusCode(p.Status)
	if p.Status == fasthttp.StatusUnauthorized {
		r.Header.Set("WWW-Authenticate", "Bearer")
	}
	if t.retry {
		r.Header.Set("Retry-After", retryAfter(f.RetryAfter))
	}
	enc := json.NewEncoder(r.BodyWriter())
	enc.SetEscapeHTML(false)
	if enc.Encode(p) != nil { // strings and numbers always encode
		r.SetStatusCode(fasthttp.StatusInternalServerError)
	}
}

// retryAfter is in whole seconds (RFC 9110 §10.2.3), rounded up: a caller that comes back early is
// refused again.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}
