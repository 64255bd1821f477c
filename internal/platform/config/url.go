package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
)

// URL is an address that may hold credentials. It prints without them: a password always goes, query
// values go unless they are known to be harmless, and so does the path of an http address, because
// webhook receivers put their tokens there. Only Reveal gives all of it.
type URL struct{ raw string }

// NewURL makes a URL of an address that does not come from the environment; it is not checked.
func NewURL(raw string) URL { return URL{raw: raw} }

// Reveal gives the whole address, for connecting; never for printing.
func (u URL) Reveal() string { return u.raw }

// Empty reports whether there is no address.
func (u URL) Empty() bool { return u.raw == "" }

// harmlessParameters are the settings of a Postgres connection whose values help to find a mistake.
func harmlessParameters() []string {
	return []string{"sslmode", "host", "port", "dbname", "application_name", "connect_timeout", "search_path", "target_session_attrs"}
}

// String gives the address without credentials.
func (u URL) String() string {
	if u.raw == "" {
		return ""
	}
	parsed, err := url.Parse(u.raw)
	if err != nil || parsed.Host == "" && parsed.Opaque != "" {
		return redacted
	}
	var b strings.Builder
	b.WriteString(parsed.Scheme + "://")
	if parsed.User != nil {
		b.WriteString(url.User(parsed.User.Username()).String())
		if _, has := parsed.User.Password(); has {
			b.WriteString(":" + redacted)
		}
		b.WriteByte('@')
	}
	b.WriteString(parsed.Host)
	switch path := parsed.EscapedPath(); {
	case path == "" || path == "/":
		b.WriteString(path)
	case strings.HasPrefix(parsed.Scheme, "http"):
		b.WriteString("/" + redacted)
	default:
		b.WriteString(path)
	}
	separator := byte('?')
	for _, pair := range strings.FieldsFunc(parsed.RawQuery, func(r rune) bool { return r == '&' }) {
		name, _, _ := strings.Cut(pair, "=")
		if !slices.Contains(harmlessParameters(), name) {
			pair = url.QueryEscape(name) + "=" + redacted
		}
		b.WriteByte(separator)
		b.WriteString(pair)
		separator = '&'
	}
	return b.String()
}

// GoString is String: %#v must not show more.
func (u URL) GoString() string { return u.String() }

// Format is String for every verb of fmt.
func (u URL) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// MarshalText is String, for encoders other than JSON.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// MarshalJSON is String as JSON.
func (u URL) MarshalJSON() ([]byte, error) { return json.Marshal(u.String()) }

// LogValue is String, for slog.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }
