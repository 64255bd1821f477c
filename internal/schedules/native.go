package schedules

import "time"

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

// nextNative returns the first time after another that matches, as Temporal's server reads the clock: near a change of
// the clocks it differs from the rule of Plan. ok is false when there is none.
func (c Calendar) nextNative(after time.Time, zone *time.Location) (next time.Time, ok bool) {
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
