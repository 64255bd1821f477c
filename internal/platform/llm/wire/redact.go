package wire

import (
	"errors"
	"regexp"
	"strings"
	"unicode"

	"github.com/larirun/lari/internal/platform/storable"
)

// maxDetail bounds a failure's detail, in characters.
const maxDetail = 500

const redacted = "[redacted]"

// keyShape matches the key formats of the well-known providers, also when a provider echoes another
// key than ours, or ours half masked ("sk-proj-****abcd").
var keyShape = regexp.MustCompile(`\b(?:sk|pk|gsk|xai|key)-[A-Za-z0-9_*.\-]{4,}|(?i)\bbearer\s+[^\s"']+`)

// Redactor keeps keys out of messages: providers do echo them ("Incorrect API key provided: …").
type Redactor struct{ secrets []string }

// NewRedactor makes a redactor for the given secrets; empty ones are ignored.
func NewRedactor(secrets ...string) Redactor {
	var r Redactor
	for _, s := range secrets {
		if s != "" {
			r.secrets = append(r.secrets, s)
		}
	}
	return r
}

// text removes the secrets and everything that looks like a key.
func (r Redactor) text(s string) string {
	for _, secret := range r.secrets {
		s = strings.ReplaceAll(s, secret, redacted)
	}
	return keyShape.ReplaceAllString(s, redacted)
}

// Detail makes a provider's text fit to show: valid UTF-8, one line, no keys, at most 500 characters.
func (r Redactor) Detail(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, storable.Text(s))
	s = strings.TrimSpace(r.text(s))
	if runes := []rune(s); len(runes) > maxDetail {
		s = string(runes[:maxDetail-1]) + "…"
	}
	return s
}

// Error gives err itself, for errors.Is and errors.As, or only its redacted text when it holds a key.
func (r Redactor) Error(err error) error {
	if text := err.Error(); r.text(text) != text {
		return errors.New(r.text(text))
	}
	return err
}
