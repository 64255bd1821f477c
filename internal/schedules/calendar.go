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

func (c Calendar) matches(t time.Time, zone *time.Location) bool {
	t = t.In(zone)
	return t.Nanosecond() == 0 && c.hasYear(t.Year()) && has(c.Month, int(t.Month())) && has(c.DayOfMonth, t.Day()) &&
		has(c.DayOfWeek, int(t.Weekday())) && has(c.Hour, t.Hour()) && has(c.Minute, t.Minute()) && has(c.Second, t.Second())
}

// reading is what a clock on the wall shows. An hour that the clock repeats is read through twice, late the second
// time.
type reading struct {
	year                   int
	month                  time.Month
	day, hour, minute, sec int
	late                   bool
	zone                   *time.Location
}

func readingOf(t time.Time, zone *time.Location) reading {
	t = t.In(zone)
	r := reading{zone: zone, late: t.Add(-time.Hour).Hour() == t.Hour()}
	r.year, r.month, r.day = t.Date()
	r.hour, r.minute, r.sec = t.Clock()
	return r
}

// on is the instant of the reading's day at another time of day.
func (r reading) on(hour, minute, sec int) time.Time {
	return time.Date(r.year, r.month, r.day, hour, minute, sec, 0, r.zone)
}

// hasMidnight reports whether the reading's day begins at midnight.
func (r reading) hasMidnight() bool {
	t := r.on(0, 0, 0)
	return t.Day() == r.day && t.Hour() == 0
}

// carry makes a reading of one in which fields have run over. An hour to whose successor it is longer than an hour
// is read again.
func (r *reading) carry() {
	if r.sec >= 60 {
		r.minute, r.sec = r.minute+1, 0
	}
	if r.minute >= 60 {
		again := !r.late && r.on(r.hour+1, 0, 0).Sub(r.on(r.hour, 0, 0)) > time.Hour
		if r.minute, r.late = 0, again; !again {
			r.hour++
		}
	}
	if r.hour >= 24 {
		r.day, r.hour = r.day+1, 0
	}
	if r.day > time.Date(r.year, r.month+1, 0, 0, 0, 0, 0, time.UTC).Day() {
		r.month, r.day = r.month+1, 1
	}
	if r.month > time.December {
		r.year, r.month = r.year+1, time.January
	}
}

// jump goes to the beginning of another day.
func (r *reading) jump(year int, month time.Month, day int) {
	*r = reading{year: year, month: month, day: day, zone: r.zone}
}

// next gives the first time after another that matches; ok is false when there is none. It reads the clock as
// Temporal's server does, also around a change of the clocks, where that is a matter of taste: what is previewed is
// what will happen.
func (c Calendar) next(after time.Time, zone *time.Location) (next time.Time, ok bool) {
	r := readingOf(after, zone)
	r.sec++
	for {
		r.carry()
		switch {
		case r.year > lastYear:
			return time.Time{}, false
		case !c.hasYear(r.year):
			r.jump(r.year+1, time.January, 1)
		case !has(c.Month, int(r.month)):
			r.jump(r.year, r.month+1, 1)
		case !has(c.DayOfMonth, r.day), !has(c.DayOfWeek, int(r.on(r.hour, r.minute, r.sec).Weekday())):
			r.jump(r.year, r.month, r.day+1)
		case c.timeOfDay(&r):
			t := r.on(r.hour, r.minute, r.sec)
			if t.Hour() != r.hour { // the clock skips this hour
				r.hour, r.minute, r.sec = r.hour+1, 0, 0
				continue
			}
			if r.late {
				t = t.Add(time.Hour)
			}
			return t, true
		}
	}
}

// timeOfDay goes on to the first time of the reading's day, from the reading on; false when a field ran over.
func (c Calendar) timeOfDay(r *reading) bool {
	for !has(c.Hour, r.hour) {
		if r.hour, r.minute, r.sec, r.late = r.hour+1, 0, 0, false; r.hour >= 24 {
			return false
		}
	}
	if !has(c.Minute, r.minute) {
		if r.minute, r.sec = r.minute+ahead(c.Minute, r.minute), 0; r.minute >= 60 {
			return false
		}
	}
	r.sec += ahead(c.Second, r.sec)
	return r.sec < 60
}

// ahead is how far it is to the next minute or second of a set, or to the end.
func ahead(set uint64, from int) int { return min(bits.TrailingZeros64(set>>from), 60-from) }

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
