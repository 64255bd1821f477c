package schedules

import (
	"iter"
	"time"
)

// clockChange is an instant at which the clock of a zone is put forward or back. Offsets are seconds east of UTC.
type clockChange struct {
	at            int64 // Unix time
	before, after int64
}

// clockChanges returns the changes of a zone's clock from one instant to another, the later one excluded.
func clockChanges(zone *time.Location, from, to time.Time) iter.Seq[clockChange] {
	return func(yield func(clockChange) bool) {
		for t := from.In(zone); ; {
			_, before := t.Zone()
			_, end := bounds(t)
			if end.IsZero() || !end.Before(to) {
				return
			}
			t = end.In(zone)
			if _, after := t.Zone(); after != before && !yield(clockChange{at: end.Unix(), before: int64(before), after: int64(after)}) {
				return
			}
		}
	}
}

// bounds returns a span around an instant in which the clock of its zone is not changed; a zero time stands for no
// bound. There need not be a change at a bound.
func bounds(t time.Time) (start, end time.Time) {
	if start, end = t.ZoneBounds(); !end.IsZero() && !end.After(t) {
		end = t.Add(time.Hour) // the standard library is wrong on the last day of a leap year
	}
	return start, end
}

const (
	hourSeconds = int64(time.Hour / time.Second)
	daySeconds  = 24 * hourSeconds
	// maxShift is by how much the readings of one instant in two zones, or before and after a change, can differ.
	maxShift = 26 * hourSeconds
)

// window is the hours of the clock around a change in which Temporal's reading of calendars is not to be relied upon:
// those that are shown twice or skipped, wholly or in part, and the one before. Readings are seconds since the epoch by
// a clock that is never changed, on whole hours.
type window struct {
	clockChange

	first, end int64 // readings
}

func (c clockChange) window() window {
	low, high := c.at+min(c.before, c.after), c.at+max(c.before, c.after)
	return window{clockChange: c, first: floor(low, hourSeconds) - hourSeconds, end: -floor(-high, hourSeconds)}
}

// floor rounds down to a multiple, also below zero.
func floor(n, of int64) int64 { return n - (n%of+of)%of }

// from and to are the instants at which the clock begins and ends to show the window.
func (w window) from() time.Time { return time.Unix(w.first-w.before, 0) }
func (w window) to() time.Time   { return time.Unix(w.end-w.after, 0) }

// dates returns the dates of the window as midnights UTC, and the hours of each that are in it.
func (w window) dates() iter.Seq2[time.Time, uint64] {
	return func(yield func(time.Time, uint64) bool) {
		for date := floor(w.first, daySeconds); date < w.end; date += daySeconds {
			var hours uint64
			for h := range int64(24) {
				if at := date + h*hourSeconds; at >= w.first && at < w.end {
					hours |= 1 << h
				}
			}
			if !yield(time.Unix(date, 0).UTC(), hours) {
				return
			}
		}
	}
}

// skipsMidnight reports whether the clock does not show the beginning of a date.
func (w window) skipsMidnight(date time.Time) bool {
	return w.at+w.before <= date.Unix() && date.Unix() < w.at+w.after
}

// isRepeated reports whether the clock has shown the reading of an instant before.
func isRepeated(t time.Time, zone *time.Location) bool {
	t = t.In(zone)
	start, _ := bounds(t)
	if start.IsZero() {
		return false
	}
	_, now := t.Zone()
	_, before := start.Add(-time.Second).In(zone).Zone()
	return t.Unix() < start.Unix()+int64(before-now)
}

// firstShowing returns the first instant at which the clock shows a reading; ok is false when it skips it.
func firstShowing(local int64, zone *time.Location) (first time.Time, ok bool) {
	for t := time.Unix(local-maxShift, 0).In(zone); t.Unix() <= local+maxShift; {
		_, offset := t.Zone()
		start, end := bounds(t)
		at := local - int64(offset)
		if (start.IsZero() || at >= start.Unix()) && (end.IsZero() || at < end.Unix()) {
			return time.Unix(at, 0).UTC(), true
		}
		if end.IsZero() {
			break
		}
		t = end.In(zone)
	}
	return time.Time{}, false
}

// next returns the first instant after another at which the calendar fires by the rule of Plan; ok is false when there
// is none. Between two changes the clock is an offset, and readings are searched without regard to the zone.
func (c Calendar) next(after time.Time, zone *time.Location) (next time.Time, ok bool) {
	from, inside := after.Unix(), after.Unix()+1 // an instant between the two changes that are looked at
	for {
		t := time.Unix(inside, 0).In(zone)
		_, offset := t.Zone()
		start, end := bounds(t)
		local, ok := c.nextLocal(from + int64(offset))
		if !ok {
			return time.Time{}, false
		}
		at := local - int64(offset)
		switch found := time.Unix(at, 0).UTC(); {
		case !end.IsZero() && at >= end.Unix():
			// What comes first far behind the end comes first whatever the changes until then.
			whole := !start.IsZero() && from < start.Unix()
			if inside = end.Unix(); whole {
				inside = max(inside, at-maxShift)
			}
			from = inside - 1
		case !c.everyHour() && isRepeated(found, zone):
			from, inside = at, at
		default:
			return found, true
		}
	}
}
