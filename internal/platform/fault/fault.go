// Package fault is the one vocabulary of errors. Code inside the house returns a *Error with a Code
// from the closed list below; the edges (HTTP, Temporal) translate codes, and nobody else does.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Code says what went wrong in one word from a closed list. It is part of the public contract: a
// client may switch on it.
type Code string

// The closed list. An edge that meets a code it does not know treats it as Internal; a test ranges
// over Codes and demands a translation at every edge.
const (
	Malformed           Code = "malformed_request"      // the request cannot be read: JSON, encoding, headers, cursors
	Unauthenticated     Code = "unauthenticated"        // no credential, or one that does not hold
	Forbidden           Code = "forbidden"              // a good credential without the permission
	TenantSuspended     Code = "tenant_suspended"       // the tenant may not begin anything new
	NotFound            Code = "not_found"              // absent, or another tenant's: the two look the same
	MethodNotAllowed    Code = "method_not_allowed"     // the path exists, the method does not
	Conflict            Code = "conflict"               // the state of the thing refuses the operation
	RunFinal            Code = "run_final"              // the run has ended and never changes again
	ThreadBusy          Code = "thread_busy"            // another run is active on the thread
	TooLarge            Code = "too_large"              // the body is over the limit
	UnsupportedMedia    Code = "unsupported_media_type" // the body is not what the route takes
	Invalid             Code = "validation_failed"      // readable, but breaks a rule; Fields names them
	IdempotencyMismatch Code = "idempotency_mismatch"   // the key was used with another body
	IdempotencyBusy     Code = "idempotency_in_flight"  // the first request with the key has not answered yet
	RateLimited         Code = "rate_limited"           // too many requests; RetryAfter says when
	QuotaExceeded       Code = "quota_exceeded"         // a tenant's quota is used up
	Paused              Code = "paused"                 // the tenant or the platform was told to begin nothing new; RetryAfter says when to ask again
	Unavailable         Code = "unavailable"            // Postgres or Temporal cannot be reached; RetryAfter says when
	Timeout             Code = "timeout"                // the operation took longer than it may
	Cancelled           Code = "cancelled"              // the caller went away or asked to stop
	Internal            Code = "internal"               // a defect of ours; the detail is never shown
)

// Codes lists every code, for tests that range over the vocabulary.
func Codes() []Code {
	return []Code{
		Malformed, Unauthenticated, Forbidden, TenantSuspended, NotFound, MethodNotAllowed, Conflict, RunFinal, ThreadBusy,
		TooLarge, UnsupportedMedia, Invalid, IdempotencyMismatch, IdempotencyBusy, RateLimited, QuotaExceeded,
		Paused, Unavailable, Timeout, Cancelled, Internal,
	}
}

// Field names one input that broke a rule.
type Field struct {
	Field   string `json:"field" description:"Path of the input, as in the request" example:"budget.max_steps"`
	Rule    string `json:"rule" description:"The rule that it breaks" example:"min"`
	Message string `json:"message" description:"The rule in a sentence" example:"must be at least 1"`
}

// Error is a failure with a code. Detail is a sentence that may be shown to the caller; the cause is
// for logs only.
type Error struct {
	Code       Code
	Detail     string
	Fields     []Field
	RetryAfter time.Duration // how long to wait before another try; zero: unknown
	cause      error
}

// New makes an error whose detail may be shown to the caller.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Wrap makes an error with a hidden cause. The cause stays reachable to errors.Is and errors.As.
func Wrap(cause error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...), cause: cause}
}

// InvalidField is the validation error of one input.
func InvalidField(field, rule, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	return &Error{
		Code: Invalid, Detail: field + " " + message,
		Fields: []Field{{Field: field, Rule: rule, Message: message}},
	}
}

// After sets how long the caller should wait before another try.
func (e *Error) After(d time.Duration) *Error {
	e.RetryAfter = d
	return e
}

// Error gives code, detail and cause, for logs; an edge shows Detail only.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Detail, e.cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Detail)
}

// Unwrap gives the hidden cause.
func (e *Error) Unwrap() error { return e.cause }

// CodeOf gives the code of the first *Error in the chain, Internal for any other error and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// Is reports whether the error carries the code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }
