package wire

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter bounds what a provider may ask for: beyond it the header is nonsense or an attack.
const maxRetryAfter = 24 * time.Hour

// RetryAfter reads how long a provider asks to wait: the header retry-after-ms, or Retry-After in
// seconds (fractions are in use) or as an HTTP date (RFC 9110 §10.2.3). Zero: it does not say, or
// the time has passed.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	if ms, ok := number(header.Get("Retry-After-Ms")); ok {
		return bounded(ms * float64(time.Millisecond))
	}
	text := header.Get("Retry-After")
	if seconds, ok := number(text); ok {
		return bounded(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil {
		return bounded(float64(at.Sub(now)))
	}
	return 0
}

func number(text string) (float64, bool) {
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

// bounded gives a duration between zero and maxRetryAfter.
func bounded(nanoseconds float64) time.Duration {
	if math.IsNaN(nanoseconds) || nanoseconds <= 0 {
		return 0
	}
	return time.Duration(min(nanoseconds, float64(maxRetryAfter)))
}
