package schedules

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// The years that a calendar of Temporal may name; it looks for no time beyond the last one.
const (
	firstYear = 2000
	lastYear  = 2100
)

// Calendar matches the seconds whose every field is in its set, by a clock on the wall of the plan's zone. A value
// v is in a set when bit v is. It is what Temporal makes of a cron expression.
type Calendar struct {
	Second, Minute, Hour, DayOfMonth, Month, DayOfWeek uint64

	Years   []int  // nil: all
	Comment string // the expression that it was made of, if it was
}

func has(set uint64, v int) bool { return set>>v&1 == 1 }

func (c Calendar) hasYear(y int) bool { return c.Years == nil || slices.Contains(c.Years, y) }

func (c Calendar) matches(t time.Time, zone *time.Location) bool {
	t = t.In(zone)
	return t.Nanosecond() == 0 && c.hasYear(t.Year()) && has(c.Month, int(t.Month())) && has(c.DayOfMonth, t.Day()) &&
		has(c.DayOfWeek, int(t.Weekday())) && has(c.Hour, t.Hour()) && has(c.Minute, t.Minute()) && has(c.Second, t.Second())
}

// String is the calendar as a cron expression, in the seven fields of Temporal's own form (second, minute, hour,
// day of month, month, day of week, year; all must match) where five cannot say it.
func (c Calendar) String() string {
	fields := []string{
		writeSet(c.Minute, allMinutes), writeSet(c.Hour, allHours), writeSet(c.DayOfMonth, allDays),
		writeSet(c.Month, allMonths), writeSet(c.DayOfWeek, allWeek),
	}
	if c.Second == 1 && c.Years == nil && (c.DayOfMonth == allDays || c.DayOfWeek == allWeek) {
		return strings.Join(fields, " ")
	}
	years := "*"
	if c.Years != nil {
		years = strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Years), " ", ","), "[]")
	}
	return writeSet(c.Second, allSeconds) + " " + strings.Join(fields, " ") + " " + years
}

func (c Calendar) same(d Calendar) bool {
	return c.Second == d.Second && c.Minute == d.Minute && c.Hour == d.Hour && c.DayOfMonth == d.DayOfMonth &&
		c.Month == d.Month && c.DayOfWeek == d.DayOfWeek && slices.Equal(c.Years, d.Years)
}

// moment is the calendar that matches what the clock shows at one instant.
func moment(t time.Time, zone *time.Location) Calendar {
	t = t.In(zone)
	return Calendar{
		Second: 1 << t.Second(), Minute: 1 << t.Minute(), Hour: 1 << t.Hour(), DayOfMonth: 1 << t.Day(), Month: 1 << int(t.Month()),
		DayOfWeek: allWeek, Years: []int{t.Year()}, Comment: "skipped",
	}
}

// instant is moment backwards: the first time at which the clock shows the calendar's only reading. ok is false when
// there is none, or more than one reading.
func (c Calendar) instant(zone *time.Location) (t time.Time, ok bool) {
	for _, set := range []uint64{c.Second, c.Minute, c.Hour, c.DayOfMonth, c.Month} {
		if bits.OnesCount64(set) != 1 {
			return time.Time{}, false
		}
	}
	if len(c.Years) != 1 || c.DayOfWeek != allWeek {
		return time.Time{}, false
	}
	at := func(set uint64) int { return bits.TrailingZeros64(set) }
	local := time.Date(c.Years[0], time.Month(at(c.Month)), at(c.DayOfMonth), at(c.Hour), at(c.Minute), at(c.Second), 0, time.UTC)
	return firstShowing(local.Unix(), zone)
}

// everyHour reports whether the calendar leaves no hour of the day out.
func (c Calendar) everyHour() bool { return c.Hour == allHours }

// onDate reports whether the calendar has times on a date, given as midnight UTC.
func (c Calendar) onDate(date time.Time) bool {
	return c.hasYear(date.Year()) && has(c.Month, int(date.Month())) && has(c.DayOfMonth, date.Day()) && has(c.DayOfWeek, int(date.Weekday()))
}

// nextLocal returns the first reading of a clock after another that matches. Readings are seconds since the epoch by a
// clock that is never changed.
func (c Calendar) nextLocal(after int64) (next int64, ok bool) {
	t := time.Unix(after+1, 0).UTC()
	for t.Year() <= lastYear {
		y, m, d := t.Date()
		switch {
		case !c.hasYear(y):
			t = time.Date(y+1, time.January, 1, 0, 0, 0, 0, time.UTC)
		case !has(c.Month, int(m)):
			t = time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
		default:
			if c.onDate(t) {
				if second, ok := c.secondOfDay(t.Clock()); ok {
					return time.Date(y, m, d, 0, 0, second, 0, time.UTC).Unix(), true
				}
			}
			t = time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
		}
	}
	return 0, false
}

// secondOfDay returns the calendar's first second of a day that is not before a time of the day.
func (c Calendar) secondOfDay(hour, minute, second int) (int, bool) {
	for h := hour + ahead(c.Hour, hour); h < 24; h = h + 1 + ahead(c.Hour, h+1) {
		if h > hour {
			minute, second = 0, 0
		}
		for m := minute + ahead(c.Minute, minute); m < 60; m = m + 1 + ahead(c.Minute, m+1) {
			if m > minute {
				second = 0
			}
			if s := second + ahead(c.Second, second); s < 60 {
				return (h*60+m)*60 + s, true
			}
		}
	}
	return 0, false
}

// ahead is how far it is from a value to the next one of a set; to 60 when there is none.
func ahead(set uint64, from int) int { return min(bits.TrailingZeros64(set>>from), max(60-from, 0)) }
