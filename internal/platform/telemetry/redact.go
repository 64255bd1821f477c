package telemetry

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"unicode"
)

const redacted = "[redacted]"

// secretNames are names whose value is a secret, as they stand before a ":" or "=" in a text.
const secretNames = `(?:password|passwd|pwd|secret|api[_-]?key|private[_-]?key|access[_-]?token|refresh[_-]?token|authorization|cookie)`

// pattern finds one kind of secret. The hints are what a text must hold (in lower case) for the
// expression to be worth its time: nearly all log lines hold none.
type pattern struct {
	hints   []string
	expr    *regexp.Regexp
	replace string
}

var nameHints = []string{"passw", "pwd", "secret", "key", "token", "authorization", "cookie"}

var patterns = []pattern{
	{[]string{"private key-----"}, regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`), redacted},
	// A password in the address of a database may hold unescaped slashes; in other addresses that would
	// swallow a port and a path up to any later "@".
	{[]string{"postgres"}, regexp.MustCompile(`(?i)(postgres(?:ql)?://[^\s:/@"']*):[^\s"']*@`), "$1:" + redacted + "@"},
	{[]string{"://"}, regexp.MustCompile(`(://[^\s:/@"']*):[^\s/"']+@`), "$1:" + redacted + "@"},
	// JSON that was quoted once more ends its texts with \", JSON as such does not.
	{nameHints, regexp.MustCompile(`(?i)(` + secretNames + `\\*["']?\s*[:=]\s*\\+")[^"]*"`), "${1}" + redacted + `\"`},
	{nameHints, regexp.MustCompile(`(?i)(` + secretNames + `["']?\s*[:=]\s*")(?:[^"\\]|\\.)*"`), `${1}` + redacted + `"`},
	{nameHints, regexp.MustCompile(`(?i)(` + secretNames + `\\*["']?\s*[:=]\s*)\[[^\]]*\]`), "${1}" + redacted},
	{nameHints, regexp.MustCompile(`(?i)(` + secretNames + `["']?\s*[:=]\s*)(?:(?:basic|bearer|digest)\s+)?(?:'[^']*'|[^\s,;&"'\[\\][^\s,;&"']*)`), "${1}" + redacted},
	{[]string{"token=", "key=", "sig", "code="}, regexp.MustCompile(`(?i)([?&](?:token|key|sig|signature|code)=)[^&\s"']+`), "${1}" + redacted},
	{[]string{"bearer"}, regexp.MustCompile(`(?i)\b(bearer)\s+[A-Za-z0-9._~+/=-]{8,}`), "$1 " + redacted},
	{[]string{"eyj"}, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?`), redacted},
	{[]string{"lari_"}, regexp.MustCompile(`\blari_[0-9A-Za-z]{12}_[0-9A-Za-z]{8,}`), redacted},
	{[]string{"whsec_"}, regexp.MustCompile(`\bwhsec_[A-Za-z0-9+/=_-]+`), redacted},
	{[]string{"sk-", "pk-", "rk-", "xai-"}, regexp.MustCompile(`\b(?:sk|pk|rk|gsk|xai)-[A-Za-z0-9_*-]{8,}`), redacted},
}

// redactText takes out what looks like a secret. It errs on the side of taking out too much.
func redactText(text string) string {
	lower := strings.ToLower(text)
	for _, p := range patterns {
		for _, hint := range p.hints {
			if strings.Contains(lower, hint) {
				text = p.expr.ReplaceAllString(text, p.replace)
				break
			}
		}
	}
	return text
}

// secretKey reports whether the value of an attribute of that name is a secret.
func secretKey(key string) bool {
	key = strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' {
			return -1
		}
		return unicode.ToLower(r)
	}, key)
	if key == "token" || key == "dsn" {
		return true
	}
	for _, end := range []string{
		"password", "passwd", "secret", "apikey", "privatekey", "accesstoken", "refreshtoken", "sessiontoken",
		"authorization", "cookie", "credentials",
	} {
		if strings.HasSuffix(key, end) {
			return true
		}
	}
	return false
}

// attrRedactor works on attributes just before they are written, when groups and LogValuers are resolved.
type attrRedactor struct {
	value func(value any) (clean any, changed bool)
}

// attr is a slog.HandlerOptions.ReplaceAttr.
func (r attrRedactor) attr(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return a
	}
	kind := a.Value.Kind()
	if kind != slog.KindString && kind != slog.KindAny {
		return a
	}
	if secretKey(a.Key) && a.Value.String() != "" {
		return slog.String(a.Key, redacted)
	}
	if kind == slog.KindString {
		return slog.String(a.Key, redactText(a.Value.String()))
	}
	if clean, changed := r.value(a.Value.Any()); changed {
		return slog.Any(a.Key, clean)
	}
	return a
}

// redactJSON cleans a value that is about to be written as JSON.
func redactJSON(value any) (clean any, changed bool) {
	if _, own := value.(json.Marshaler); !own {
		if err, ok := value.(error); ok {
			return redactString(err.Error())
		}
	}
	if text, ok := value.([]byte); ok { // would be written as base64, which hides a secret from the patterns
		return redactString(string(text))
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return redactString(fmt.Sprintf("%+v", value))
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return redactString(string(encoded))
	}
	return redactTree(tree)
}

// redactTree cleans decoded JSON in place, by the names of its members and by the texts in it.
func redactTree(node any) (clean any, changed bool) {
	switch n := node.(type) {
	case string:
		return redactString(n)
	case []any:
		for i, item := range n {
			clean, itemChanged := redactTree(item)
			n[i], changed = clean, changed || itemChanged
		}
	case map[string]any:
		for name, item := range n {
			clean, itemChanged := redactTree(item)
			if _, number := item.(json.Number); secretKey(name) && !number && item != nil && item != "" {
				clean, itemChanged = redacted, true
			}
			n[name], changed = clean, changed || itemChanged
		}
	}
	return node, changed
}

// redactPlain cleans a value that is about to be written as text.
func redactPlain(value any) (clean any, changed bool) { return redactString(renderText(value)) }

func redactString(text string) (clean any, changed bool) {
	out := redactText(text)
	return out, out != text
}

func renderText(value any) string {
	switch v := value.(type) {
	case encoding.TextMarshaler:
		if text, err := v.MarshalText(); err == nil {
			return string(text)
		}
	case []byte:
		return string(v)
	}
	return fmt.Sprintf("%+v", value)
}
