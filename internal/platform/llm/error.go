package llm

import (
	"fmt"
	"time"
)

// Class says what a caller may do about a provider's failure.
type Class string

// The closed list of failure classes.
const (
	ClassRateLimited   Class = "rate_limited"   // 429: wait (RetryAfter when the provider says) and try again
	ClassOverloaded    Class = "overloaded"     // 5xx, 529, broken connection or stream: try again
	ClassTimeout       Class = "timeout"        // nothing of the answer for too long: try again
	ClassBadRequest    Class = "bad_request"    // 400, 404, 413, 422: the same request never succeeds
	ClassAuth          Class = "authentication" // 401, 403: wrong or missing key; never retried
	ClassContextLength Class = "context_length" // the conversation is longer than the model takes; never retried
)

// Classes lists every class, for tests that range over them.
func Classes() []Class {
	return []Class{ClassRateLimited, ClassOverloaded, ClassTimeout, ClassBadRequest, ClassAuth, ClassContextLength}
}

// Retryable reports whether the same request may succeed later.
func (c Class) Retryable() bool {
	return c == ClassRateLimited || c == ClassOverloaded || c == ClassTimeout
}

// Error is a provider's failure. Detail is safe to show to the tenant: it never holds a key.
type Error struct {
	Provider   string
	Class      Class
	Status     int           // HTTP status; zero when there was no answer
	Detail     string        // the provider's own message, bounded to 500 characters
	RetryAfter time.Duration // as the provider asked; zero: not said
	Usage      Usage         // what the failed turn had used already; zero when it never began to answer
	Cause      error
}

// Error gives provider, class, status and detail.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s (status %d): %s", e.Provider, e.Class, e.Status, e.Detail)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }
