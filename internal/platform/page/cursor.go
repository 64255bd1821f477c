package page

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
)

// maxCursor bounds a cursor, in characters: longer ones are refused before they are read.
const maxCursor = 256

// cursors are base64url without padding (RFC 4648 §5).
var cursors = base64.RawURLEncoding

// Encode makes the opaque cursor of a key; the key must not be empty.
func Encode(key string) string { return cursors.EncodeToString([]byte(key)) }

// Decode gives the key of a cursor, "" for the empty cursor. What Encode cannot have made is Malformed.
// The key still comes from outside: it may name nothing, or something of another tenant.
func Decode(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	if len(cursor) > maxCursor {
		return "", fault.New(fault.Malformed, "The cursor is longer than any that was given out.")
	}
	key, err := cursors.DecodeString(cursor)
	// Compared again, because the decoder passes over line breaks and stray bits: one key has one cursor.
	if err != nil || !printable(key) || Encode(string(key)) != cursor {
		return "", errCursor()
	}
	return string(key), nil
}

func errCursor() error {
	return fault.New(fault.Malformed, "The cursor is not one that was given out.")
}

func printable(key []byte) bool {
	if !utf8.Valid(key) {
		return false
	}
	for _, r := range string(key) {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// parseID takes the one spelling that uuid.UUID.String gives; uuid.Parse alone takes four.
func parseID(key string) (uuid.UUID, error) {
	id, err := uuid.Parse(key)
	if err != nil || id.String() != key {
		return uuid.Nil, errCursor()
	}
	return id, nil
}

// EncodeNumber makes the cursor of a list whose place is a number from 0, such as a position in a log.
func EncodeNumber(n int64) string { return Encode(strconv.FormatInt(n, 10)) }

// DecodeNumber returns the number of a cursor of EncodeNumber. Errors: Malformed.
func DecodeNumber(cursor string) (int64, error) {
	text, err := Decode(cursor)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		return 0, errCursor()
	}
	return n, nil
}

// EncodeTime makes the cursor of a list whose place is an instant, to the millisecond.
func EncodeTime(t time.Time) string { return EncodeNumber(t.UnixMilli()) }

// DecodeTime returns the instant of a cursor of EncodeTime. Errors: Malformed.
func DecodeTime(cursor string) (time.Time, error) {
	n, err := DecodeNumber(cursor)
	if err == nil && n > lastMilli {
		err = errCursor()
	}
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(n).UTC(), nil
}

// lastMilli is the end of the year 9999, the last that RFC 3339 can write.
const lastMilli = 253402300799999
