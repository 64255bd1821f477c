package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a value that prints as "[redacted]" however it is printed, and as nothing when it is empty.
// Only Reveal gives it.
type Secret struct{ value string }

// NewSecret makes a secret of a value that does not come from the environment.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal gives the value, for handing it to what needs it; never for printing.
func (s Secret) Reveal() string { return s.value }

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.value == "" }

// String gives "[redacted]", or "" when the secret is empty.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return redacted
}

// GoString is String: %#v must not show more.
func (s Secret) GoString() string { return s.String() }

// Format is String for every verb of fmt: %x and %q would otherwise find the field.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText is String, for encoders other than JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON is String as JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
