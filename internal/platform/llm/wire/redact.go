package wire

import (
	"errors"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/larirun/lari/internal/platform/storable"
)

// maxDetail bounds a failure's detail, in characters.
const maxDetail = 500

const redacted = "[redacted]"

// minSecret is the length from which a secret is looked for, in bytes. A shorter one is a dummy of a
// local server ("x", "none", "ollama"): it protects nothing, and blacking it out spoils messages.
const minSecret = 7

// keyShape matches the key formats of the well-known providers, also when a provider echoes another
// key than ours, or ours half masked ("sk-proj-****abcd").
var keyShape = regexp.MustCompile(`\b(?:sk|pk|gsk|xai|key)-[A-Za-z0-9_*.\-]{4,}|(?i)\bbearer\s+[^\s"']+`)

// keyMark is what a key has and a word ("key-value", "sk-learn") has not.
var keyMark = regexp.MustCompile(`[0-9*]|\S{24,}`)

// headerWords follow "bearer" in sentences about the header.
var headerWords = regexp.MustCompile(`(?i)^bearer\s+(?:tokens?|auth\w*|keys?|schemes?|headers?|is|was|must|or|and)\b`)

// Redactor keeps keys out of messages: providers do echo them ("Incorrect API key provided: …").
type Redactor struct{ secrets []string }

// NewRedactor makes a redactor for the given secrets; those too short to be one are ignored.
func NewRedactor(secrets ...string) Redactor {
	var r Redactor
	for _, s := range secrets {
		if len(s) >= minSecret {
			r.secrets = append(r.secrets, s)
		}
	}
	return r
}

// text removes the secrets and everything that looks like a key.
func (r Redactor) text(s string) string {
	for _, secret := range r.secrets {
		s = replaceWhole(s, secret)
	}
	return keyShape.ReplaceAllStringFunc(s, func(found string) string {
		isHeader := len(found) > 6 && strings.EqualFold(found[:6], "bearer")
		if isHeader && headerWords.MatchString(found) || !isHeader && !keyMark.MatchString(found) {
			return found
		}
		return redacted
	})
}

// replaceWhole replaces the secret where it is no part of a longer word. A long secret is replaced
// everywhere: no word holds one by chance.
func replaceWhole(s, secret string) string {
	const byChance = 16
	if len(secret) >= byChance {
		return strings.ReplaceAll(s, secret, redacted)
	}
	var out strings.Builder
	for {
		at := strings.Index(s, secret)
		if at < 0 {
			out.WriteString(s)
			return out.String()
		}
		end := at + len(secret)
		before, _ := utf8.DecodeLastRuneInString(s[:at])
		after, _ := utf8.DecodeRuneInString(s[end:])
		out.WriteString(s[:at])
		if at > 0 && isWordRune(before) || end < len(s) && isWordRune(after) {
			out.WriteString(secret)
		} else {
			out.WriteString(redacted)
		}
		s = s[end:]
	}
}

func isWordRune(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }

// Detail makes a provider's text fit to show: valid UTF-8, one line, no keys, at most 500 characters.
func (r Redactor) Detail(s string) string {
	s = storable.Text(strings.ReplaceAll(s, "\x00", " "))
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s)
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
