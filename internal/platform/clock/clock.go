// Package clock holds the one form in which times are stored and shown: UTC, whole milliseconds.
package clock

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Time is an instant as the outside sees it: RFC 3339 in UTC with exactly three decimals, so that texts
// sort like times.
type Time struct{ time.Time }

const layout = "2006-01-02T15:04:05.000Z"

// Now is the present instant.
func Now() Time { return At(time.Now()) }

// At gives an instant in this form; what is finer than a millisecond is cut off.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// Ref is At for times that may be absent.
func Ref(t *time.Time) *Time {
	if t == nil {
		return nil
	}
	at := At(*t)
	return &at
}

// Sub is the time from u to t.
func (t Time) Sub(u Time) time.Duration { return t.Time.Sub(u.Time) }

// Add is the instant after d.
func (t Time) Add(d time.Duration) Time { return At(t.Time.Add(d)) }

// After reports whether t is later than u.
func (t Time) After(u Time) bool { return t.Time.After(u.Time) }

// MarshalJSON writes the form.
func (t Time) MarshalJSON() ([]byte, error) {
	if y := t.Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("the year %d has no place in RFC 3339", y)
	}
	return t.UTC().AppendFormat(make([]byte, 0, len(layout)+2), `"`+layout+`"`), nil
}

// UnmarshalJSON reads any RFC 3339 time.
func (t *Time) UnmarshalJSON(data []byte) error {
	var parsed time.Time
	if err := parsed.UnmarshalJSON(data); err != nil {
		return err
	}
	*t = At(parsed)
	return nil
}

// Scan reads a timestamp of the database.
func (t *Time) Scan(src any) error {
	at, ok := src.(time.Time)
	if !ok {
		return fmt.Errorf("%T is not a time", src)
	}
	*t = At(at)
	return nil
}

// Value gives the database a timestamp.
func (t Time) Value() (driver.Value, error) { return t.Time, nil }
