package storable

import (
	"strings"
	"unicode/utf8"
)

// replacement stands for what cannot be kept, U+FFFD.
const replacement = string(utf8.RuneError)

// ellipsis ends a text that was cut.
const ellipsis = " …"

// Text returns s as a text column keeps it: each NUL and each run of invalid UTF-8 becomes U+FFFD. They are
// replaced and not removed, so that what stood around them does not grow together into something else.
func Text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, replacement), "\x00", replacement)
}

// Clip returns Text(s) in at most limit bytes. A longer text is cut between two characters and ends with " …";
// limit must leave room for these four bytes.
func Clip(s string, limit int) string {
	if len(s) <= limit {
		if kept := Text(s); len(kept) <= limit {
			return kept
		}
	}
	return Truncate(s, limit-len(ellipsis)) + ellipsis
}

// IsText reports whether a text column keeps s as it is. It is for input that is refused and not repaired.
func IsText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// Truncate returns the first bytes of Text(s), at most limit of them and whole characters.
func Truncate(s string, limit int) string {
	return cut(Text(cut(s, limit)), limit) // first, because s may be huge; again, because a replacement is longer
}

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
