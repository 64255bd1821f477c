package wire

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

func isJSON(data []byte) bool { return gjson.ValidBytes(data) }

// Raw returns the text of a JSON value that is a string or a number, "" for anything else. Unlike
// encoding/json it keeps halves of characters: bytes that are no UTF-8 as they are, and a lone
// surrogate as the three bytes that UTF-8 would use for it, so that Joiner can put them together.
func Raw(v gjson.Result) string {
	switch v.Type {
	case gjson.Number:
		return v.Raw
	case gjson.String:
	case gjson.Null, gjson.False, gjson.True, gjson.JSON:
		return ""
	}
	inner := v.Raw
	if len(inner) < 2 || inner[0] != '"' {
		return v.Str
	}
	inner = inner[1 : len(inner)-1]
	if strings.IndexByte(inner, '\\') < 0 {
		return strings.Clone(inner) // the raw value points into the event's buffer
	}
	return unescape(inner)
}

// unescape resolves the escapes of a valid JSON string (RFC 8259 §7).
func unescape(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 >= len(s) {
			out = append(out, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			unit, ok := hexUnit(s[i+1:])
			if !ok {
				out = append(out, `\u`...)
				continue
			}
			i += 4
			if low, ok := lowAfter(s[i+1:]); ok && unit >= 0xD800 && unit < 0xDC00 {
				out = utf8.AppendRune(out, utf16.DecodeRune(unit, low))
				i += 6
				continue
			}
			out = appendUnit(out, unit)
		default: // quote, backslash, slash
			out = append(out, s[i])
		}
	}
	return string(out)
}

func hexUnit(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:4], 16, 16)
	return rune(n), err == nil
}

// lowAfter reads an escaped low surrogate.
func lowAfter(s string) (rune, bool) {
	if !strings.HasPrefix(s, `\u`) {
		return 0, false
	}
	unit, ok := hexUnit(s[2:])
	return unit, ok && unit >= 0xDC00 && unit < 0xE000
}

// appendUnit appends a UTF-16 code unit, a surrogate too.
func appendUnit(out []byte, unit rune) []byte {
	if unit < 0xD800 || unit >= 0xE000 {
		return utf8.AppendRune(out, unit)
	}
	return append(out, 0xE0|byte(unit>>12&0x0F), 0x80|byte(unit>>6&0x3F), 0x80|byte(unit&0x3F))
}

// Joiner turns pieces of text into valid UTF-8. A character may be split over two pieces, as bytes or
// as surrogates; what can never become one is U+FFFD. The zero value is ready.
type Joiner struct{ held string }

// Add returns the text that is complete with the piece.
func (j *Joiner) Add(piece string) string {
	if j.held == "" && utf8.ValidString(piece) {
		return piece
	}
	text, rest := join(j.held+piece, false)
	j.held = rest
	return text
}

// Flush returns what is left when no further piece comes.
func (j *Joiner) Flush() string {
	text, _ := join(j.held, true)
	j.held = ""
	return text
}

// join returns the valid text of s and, unless it is the last, the beginning of a character at its end.
func join(s string, last bool) (text, rest string) {
	var out strings.Builder
	for s != "" {
		if high, ok := surrogate(s); ok {
			low, paired := surrogate(s[3:])
			switch {
			case high < 0xDC00 && paired && low >= 0xDC00:
				out.WriteRune(utf16.DecodeRune(high, low))
				s = s[6:]
			case high < 0xDC00 && !last && len(s) == 3:
				return out.String(), s
			default:
				out.WriteRune(utf8.RuneError)
				s = s[3:]
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 && !utf8.FullRuneInString(s) {
			if !last {
				return out.String(), s
			}
			size = len(s) // one replacement for what there is of the character
		}
		out.WriteRune(r)
		s = s[size:]
	}
	return out.String(), ""
}

// surrogate reads a surrogate that appendUnit wrote.
func surrogate(s string) (rune, bool) {
	if len(s) < 3 || s[0] != 0xED || s[1] < 0xA0 || s[1] > 0xBF || s[2] < 0x80 || s[2] > 0xBF {
		return 0, false
	}
	return rune(s[0]&0x0F)<<12 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F), true
}
