package wire

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/larirun/lari/internal/platform/llm"
)

// refusal is the failure of an answer that is not an event stream.
func (c *Call) refusal(resp *http.Response, body []byte) *llm.Error {
	p := parseProblem(body)
	failure := &llm.Error{
		Provider:   c.provider,
		Class:      classify(resp.StatusCode, p),
		Status:     resp.StatusCode,
		Detail:     c.redact.Detail(p.message),
		RetryAfter: RetryAfter(resp.Header, time.Now()),
	}
	switch {
	case resp.StatusCode >= http.StatusMultipleChoices && resp.StatusCode < http.StatusBadRequest:
		failure.Detail = "answered with a redirect, which is not followed: is the base URL right?"
	case failure.Detail != "" && p.structured:
	case p.isJSON: // of no known shape: raw JSON is no message
		failure.Detail = http.StatusText(resp.StatusCode)
		if resp.StatusCode < http.StatusMultipleChoices {
			failure.Detail = "answered without an event stream: is the base URL right?"
		}
	case resp.StatusCode < http.StatusMultipleChoices:
		failure.Detail = "answered without an event stream: is the base URL right?"
	case failure.Detail == "", strings.HasPrefix(failure.Detail, "<"): // a proxy's HTML page helps nobody
		failure.Detail = http.StatusText(resp.StatusCode)
	}
	return failure
}

// StreamFailure is the failure of an error object, or text, that came inside an event stream.
func (c *Call) StreamFailure(object []byte, used llm.Usage) error {
	p := parseProblem(object)
	detail := c.redact.Detail(p.message)
	if detail == "" {
		detail = "failed in the middle of the stream without saying why"
	}
	return c.Failure(&llm.Error{Provider: c.provider, Class: classify(0, p), Status: p.status, Detail: detail}, used)
}

// Cut is the failure of a stream that ended before the turn did.
func (c *Call) Cut(used llm.Usage) error { return c.Failure(io.ErrUnexpectedEOF, used) }

// Failure puts any error of the call into the port's words: the end of the caller's context comes
// first, then silence, then what the provider said, then the broken connection. used is what the turn
// had used; zero when it never began to answer.
func (c *Call) Failure(err error, used llm.Usage) error {
	if cause := c.parent.Err(); cause != nil {
		return &llm.Interrupted{Provider: c.provider, Usage: used, Cause: cause}
	}
	failure := &llm.Error{Provider: c.provider, Class: llm.ClassOverloaded, Usage: used}
	var own *llm.Error
	switch {
	case errors.Is(context.Cause(c.ctx), errIdle):
		failure.Class, failure.Cause = llm.ClassTimeout, errIdle
		failure.Detail = "sent no byte for " + c.limits.Idle.String()
	case errors.Is(context.Cause(c.ctx), errStalled):
		failure.Class, failure.Cause = llm.ClassTimeout, errStalled
		failure.Detail = "sent nothing of its answer for " + c.limits.Stall.String()
	case errors.As(err, &own):
		own.Usage = used
		return own
	case isTimeout(err):
		failure.Class, failure.Detail = llm.ClassTimeout, "the connection timed out"
		failure.Cause = c.redact.Error(err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		failure.Detail, failure.Cause = "the stream broke off before the turn ended", io.ErrUnexpectedEOF
	default:
		failure.Detail, failure.Cause = "the connection failed: "+c.redact.Detail(innermost(err)), c.redact.Error(err)
	}
	return failure
}

// BadRequest is a request that is refused before it is sent: it cannot be put into the provider's words.
func (c *Call) BadRequest(detail string) error {
	return c.Failure(&llm.Error{Provider: c.provider, Class: llm.ClassBadRequest, Detail: c.redact.Detail(detail)}, llm.Usage{})
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// innermost leaves the URL out of a transport error: tenants see the detail, and the URL is the
// operator's affair.
func innermost(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err.Error()
	}
	return err.Error()
}
