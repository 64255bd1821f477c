package schedules

import (
	"iter"
	"time"
)

// Interval fires every so often, counted from the Unix epoch and moved by an offset.
type Interval struct {
	Every, Offset time.Duration // whole seconds
}

func (i Interval) next(after time.Time) time.Time {
	every, offset := int64(i.Every/time.Second), int64(i.Offset/time.Second)
	return time.Unix(((after.Unix()-offset)/every+1)*every+offset, 0)
}

// Plan is when a schedule fires: at the times of any calendar or interval, except those that an excluded calendar
// matches. Its times are nominal: the jitter comes on top.
//
// A calendar fires when the clock of the zone shows one of its readings. A reading that the clock skips has no firing.
// Of one that it shows twice only the first is a firing, unless the calendar leaves no hour of the day out: then it
// stands for an interval, and the second one is a firing as well.
//
// Entries is the plan as Temporal holds it.
type Plan struct {
	Calendars      []Calendar // of expressions
	Native         []Calendar // made by other means than this program; they are read as Temporal does
	Intervals      []Interval
	Excluded       []Calendar
	Zone           *time.Location
	StartAt, EndAt time.Time // both included; zero: no bound
	Jitter         time.Duration
}

// Times gives the firing times after an instant, in order, each once.
func (p Plan) Times(after time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		if before := p.StartAt.Add(-time.Second); !p.StartAt.IsZero() && after.Before(before) {
			after = before
		}
		seen := make([]sighting, len(p.Calendars)+len(p.Native))
		for {
			next, ok := p.next(after, seen)
			if !ok || !next.After(after) || !p.EndAt.IsZero() && next.After(p.EndAt) {
				return
			}
			if !p.excludes(next) && !yield(next.UTC()) {
				return
			}
			after = next
		}
	}
}

// sighting is what a calendar answered last.
type sighting struct {
	at    time.Time
	known bool
	none  bool // there is no time any more
}

// farOff is how far ahead a sighting of a native calendar holds whatever lies before it.
const farOff = 48 * time.Hour

// next gives the first time after an instant, excluded or not. A calendar's answer is remembered until its time has
// come, for one that fires once in ten years takes long to ask. Native calendars are asked each time, as Temporal does:
// where the clock repeats an hour, or skips midnight, their answer depends on the instant, unless it is far off.
func (p Plan) next(after time.Time, seen []sighting) (next time.Time, ok bool) {
	first := func(t time.Time) {
		if t.Year() <= lastYear && (!ok || t.Before(next)) {
			next, ok = t, true
		}
	}
	ask := func(s *sighting, search func(time.Time, *time.Location) (time.Time, bool), holds bool) {
		if !s.known || !holds {
			at, found := search(after, p.Zone)
			*s = sighting{at: at, known: true, none: !found}
		}
		if !s.none {
			first(s.at)
		}
	}
	for i, c := range p.Calendars {
		s := &seen[i]
		ask(s, c.next, s.none || s.at.After(after))
	}
	if len(p.Native) > 0 {
		odd := !readingOf(after, p.Zone).hasMidnight()
		for i, c := range p.Native {
			s := &seen[len(p.Calendars)+i]
			ask(s, c.nextNative, !odd && (s.none || s.at.Sub(after) >= farOff))
		}
	}
	for _, i := range p.Intervals {
		first(i.next(after))
	}
	return next, ok
}

func (p Plan) excludes(t time.Time) bool {
	for _, c := range p.Excluded {
		if c.matches(t, p.Zone) {
			return true
		}
	}
	return false
}

// Next gives at most count firing times after an instant.
func (p Plan) Next(after time.Time, count int) []time.Time {
	found := make([]time.Time, 0, count)
	for t := range p.Times(after) {
		if len(found) == count {
			break
		}
		found = append(found, t)
	}
	return found
}

// Between gives at most limit firing times from one instant to another, both included.
func (p Plan) Between(from, to time.Time, limit int) []time.Time {
	var found []time.Time
	for t := range p.Times(from.Add(-time.Nanosecond)) {
		if t.After(to) || len(found) == limit {
			break
		}
		found = append(found, t)
	}
	return found
}

// Fires reports whether an instant is a firing time.
func (p Plan) Fires(t time.Time) bool { return len(p.Between(t, t, 1)) == 1 }

// Skipped gives the single times that were left out and lie after an instant.
func (p Plan) Skipped(after time.Time) []time.Time {
	var found []time.Time
	for _, c := range p.Excluded {
		if t, ok := c.instant(p.Zone); ok && t.After(after) {
			found = append(found, t.UTC())
		}
	}
	return found
}

// withoutSkips is the plan as if no single time had been left out.
func (p Plan) withoutSkips() Plan {
	kept := make([]Calendar, 0, len(p.Excluded))
	for _, c := range p.Excluded {
		if _, ok := c.instant(p.Zone); !ok {
			kept = append(kept, c)
		}
	}
	p.Excluded = kept
	return p
}

// skipping is the plan with the single times left out in place of those that it left out before.
func (p Plan) skipping(times []time.Time) Plan {
	p = p.withoutSkips()
	for _, t := range times {
		p.Excluded = append(p.Excluded, moment(t, p.Zone))
	}
	return p
}
