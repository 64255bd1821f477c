package schedules

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// lastYear is the last one in which Temporal looks for a time.
const lastYear = 2100

// Calendar matches the seconds whose every field is in its set, by a clock on the wall of the plan's zone. A value
// v is in a set when bit v is. It is what Temporal makes of a cron expression.
type Calendar struct {
	Second, Minute, Hour, DayOfMonth, Month, DayOfWeek uint64

	Years   []int  // nil: all
	Comment string // the expression that it was made of, if it was
}

func has(set uint64, v int) bool { return set>>v&1 == 1 }

func (c Calendar) hasYear(y int) bool { return c.Years == nil || slices.Contains(c.Years, y) }

func (c Calendar) hasDay(t time.Time) bool {
	return has(c.DayOfMonth, t.Day()) && has(c.DayOfWeek, int(t.Weekday()))
}

func (c Calendar) matches(t time.Time, zone *time.Location) bool {
	t = t.In(zone)
	return t.Nanosecond() == 0 && c.hasYear(t.Year()) && has(c.Month, int(t.Month())) && c.hasDay(t) &&
		has(c.Hour, t.Hour()) && has(c.Minute, t.Minute()) && has(c.Second, t.Second())
}

// next gives the first time after another that matches; ok is false when there is none. It walks over instants
// and asks what the clock shows there: an hour that the clock skips has none, one that it repeats has two.
func (c Calendar) next(after time.Time, zone *time.Location) (next time.Time, ok bool) {
	for t := time.Unix(after.Unix()+1, 0).In(zone); t.Year() <= lastYear; {
		year, month, day := t.Date()
		switch {
		case !c.hasYear(year):
			t = dawn(year+1, time.January, 1, zone)
		case !has(c.Month, int(month)):
			t = dawn(year, month+1, 1, zone)
		case !c.hasDay(t):
			t = dawn(year, month, day+1, zone)
		case !has(c.Hour, t.Hour()):
			t = t.Add(time.Hour - time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second)
		case !has(c.Minute, t.Minute()):
			t = t.Add(step(c.Minute, t.Minute(), 60)*time.Minute - time.Duration(t.Second())*time.Second)
		case !has(c.Second, t.Second()):
			t = t.Add(step(c.Second, t.Second(), 60) * time.Second)
		default:
			return t, true
		}
	}
	return time.Time{}, false
}

// step is how far it is to the next value of a set, or to the end.
func step(set uint64, from, end int) time.Duration {
	return time.Duration(min(bits.TrailingZeros64(set>>from), end-from))
}

// dawn is the first instant of a day. Where clocks go forward at midnight the day begins later.
func dawn(year int, month time.Month, day int, zone *time.Location) time.Time {
	t := time.Date(year, month, day, 0, 0, 0, 0, zone)
	if t.Hour() > 12 { // the evening before: midnight does not exist
		t = t.Add(time.Hour - time.Duration(t.Minute())*time.Minute)
	}
	return t
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

// instant is moment backwards; ok is false for a calendar that matches more than one reading of the clock.
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
	return time.Date(c.Years[0], time.Month(at(c.Month)), at(c.DayOfMonth), at(c.Hour), at(c.Minute), at(c.Second), 0, zone), true
}
