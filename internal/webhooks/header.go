package webhooks

import (
	"maps"
	"slices"
	"strings"

	"github.com/larirun/lari/internal/platform/fault"
)

const (
	maxHeaderName  = 64
	maxHeaderValue = 1024
	// mask stands for every value where headers are shown.
	mask = "********"
)

// reserved are headers that belong to the connection (RFC 9110 §7.6.1), to the body, or to what a
// receiver believes of the way that a request took. With a * at the end: every name that begins so.
var reserved = []string{
	"accept-encoding", "connection", "content-*", "date", "expect", "forwarded", "host", "http2-settings", "keep-alive", "max-forwards", "proxy-*",
	"range", "sec-*", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "via", "webhook-*", "x-forwarded-*", "x-http-method*",
	"x-original-*", "x-real-ip", "x-rewrite-*",
}

// checkHeaders refuses what could change the meaning of a request. Authorization and Cookie are a tenant's
// to set; names with an underscore are not, because some servers read them as names with a hyphen, which
// would be a way round this list.
func checkHeaders(headers map[string]string) error {
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		lower := strings.ToLower(name)
		switch {
		case !goodName(name):
			return fault.InvalidField("headers", "name", "must have names of 1 to %d letters, digits and hyphens", maxHeaderName)
		case isReserved(lower):
			return fault.InvalidField("headers", "reserved", "must not set %s", name)
		case seen[lower]:
			return fault.InvalidField("headers", "unique", "must not set %s twice", name)
		case headers[name] == mask:
			return fault.InvalidField("headers", "masked", "must give the value of %s: what is shown in its place is no value", name)
		case !goodValue(headers[name]):
			return fault.InvalidField("headers", "value", "must give %s a value of 1 to %d visible ASCII characters, with spaces only between them", name, maxHeaderValue)
		}
		seen[lower] = true
	}
	return nil
}

func goodName(name string) bool {
	ok := len(name) >= 1 && len(name) <= maxHeaderName
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	return ok
}

func goodValue(value string) bool {
	ok := len(value) >= 1 && len(value) <= maxHeaderValue && strings.TrimSpace(value) == value
	for i := 0; ok && i < len(value); i++ {
		ok = value[i] >= ' ' && value[i] < 0x7f
	}
	return ok
}

func isReserved(lower string) bool {
	return slices.ContainsFunc(reserved, func(r string) bool {
		prefix, many := strings.CutSuffix(r, "*")
		return many && strings.HasPrefix(lower, prefix) || lower == r
	})
}
