package schedules

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Entries is a plan as Temporal holds it: calendars that its server reads by the clock of the zone, intervals, and
// calendars whose times are left out. Near a change of the clocks that reading differs from the rule of Plan. A calendar
// that has times there is therefore split: its parts leave the hours around each change out, and the firing times of
// these hours are intervals of their own, which come about once. An excluded calendar that matches nothing, the mark,
// says for which years this was done.
type Entries struct {
	Calendars, Excluded []Calendar
	Intervals           []Interval
	Zone                *time.Location
	StartAt, EndAt      time.Time
	Jitter              time.Duration
}

// Coverage is the calendar years whose clock changes are spelled out in Entries, both included. Beyond them Temporal's
// own reading holds. The zero Coverage is none.
type Coverage struct{ From, To int }

const (
	yearsBehind = 1 // covered at least: for backfills
	yearsAhead  = 2 // covered at least: as long may nobody renew the entries of a schedule
	maxBehind   = 10
)

func coverageAt(now time.Time) Coverage {
	year := now.UTC().Year()
	return Coverage{From: year - yearsBehind, To: year + yearsAhead}
}

// Entries returns the plan as Temporal is to hold it.
func (p Plan) Entries(of Coverage) Entries {
	e := Entries{
		Excluded: slices.Clone(p.Excluded), Intervals: slices.Clone(p.Intervals), Zone: p.Zone, StartAt: p.StartAt, EndAt: p.EndAt, Jitter: p.Jitter,
	}
	windows, once := p.windows(of), map[int64]bool{}
	for _, c := range p.Calendars {
		parts, times := c.split(windows, p.Zone)
		e.Calendars = append(e.Calendars, parts...)
		for _, t := range times {
			if !once[t.Unix()] {
				once[t.Unix()] = true
				e.Intervals = append(e.Intervals, onceAt(t))
			}
		}
	}
	e.Calendars = append(e.Calendars, p.Native...)
	if len(e.Calendars) != len(p.Calendars)+len(p.Native) || len(once) > 0 {
		e.Excluded = append(e.Excluded, e.mark(of))
	}
	return e
}

// windows returns those of the clock changes of some years, as far as they lie between the bounds of the plan.
func (p Plan) windows(of Coverage) []window {
	from, to := time.Date(of.From, time.January, 1, 0, 0, 0, 0, p.Zone), time.Date(of.To+1, time.January, 1, 0, 0, 0, 0, p.Zone)
	var found []window
	for change := range clockChanges(p.Zone, from, to) {
		if w := change.window(); !w.to().Before(p.StartAt) && (p.EndAt.IsZero() || !w.from().After(p.EndAt)) {
			found = append(found, w)
		}
	}
	return found
}

// split returns calendars that together match what the calendar does, except in the windows, and the firing times of
// those. A calendar that Temporal reads right in every window stays as it is.
func (c Calendar) split(windows []window, zone *time.Location) (parts []Calendar, times []time.Time) {
	type day struct {
		date  time.Time
		hours uint64 // of the windows
	}
	var touched []day
	for _, w := range windows {
		before := len(touched)
		for date, hours := range w.dates() {
			anyWeekday := c
			anyWeekday.DayOfWeek = allWeek
			// On a date that has no midnight Temporal takes the day of the week for that of the day before.
			if c.onDate(date) && c.Hour&hours != 0 || w.skipsMidnight(date) && c.DayOfWeek != allWeek && anyWeekday.onDate(date) {
				touched = append(touched, day{date, hours})
			}
		}
		if len(touched) == before {
			continue
		}
		for t, ok := c.next(w.from().Add(-time.Second), zone); ok && t.Before(w.to()); t, ok = c.next(t, zone) {
			times = append(times, t)
		}
	}
	if len(touched) == 0 {
		return []Calendar{c}, nil
	}
	years, months := map[int]uint64{}, map[[2]int]uint64{}
	for _, d := range touched {
		y, m := d.date.Year(), int(d.date.Month())
		years[y] |= 1 << m
		months[[2]int{y, m}] |= 1 << d.date.Day()
	}
	add := func(part Calendar) {
		if part.Month != 0 && part.DayOfMonth != 0 && part.Hour != 0 && len(part.Years) > 0 {
			parts = append(parts, part)
		}
	}
	rest := c
	rest.Years = nil
	for y := firstYear; y <= lastYear; y++ {
		if c.hasYear(y) && years[y] == 0 {
			rest.Years = append(rest.Years, y)
		}
	}
	add(rest)
	for y := firstYear; y <= lastYear; y++ {
		if years[y] == 0 {
			continue
		}
		part := c
		part.Years, part.Month = []int{y}, c.Month&^years[y]
		add(part)
		for m := 1; m <= 12; m++ {
			if days := months[[2]int{y, m}]; days != 0 {
				part := c
				part.Years, part.Month, part.DayOfMonth = []int{y}, 1<<m, c.DayOfMonth&^days
				add(part)
			}
		}
	}
	for i, d := range touched {
		if !c.onDate(d.date) || i > 0 && touched[i-1].date.Equal(d.date) {
			continue
		}
		part := c
		for _, other := range touched {
			if other.date.Equal(d.date) {
				part.Hour &^= other.hours
			}
		}
		part.Years, part.Month, part.DayOfMonth, part.DayOfWeek = []int{d.date.Year()}, 1<<int(d.date.Month()), 1<<d.date.Day(), allWeek
		add(part)
	}
	return parts, times
}

// onceAt is an interval that comes about at one instant until 2080 at least: as long as the time from the epoch to
// that instant. Temporal has no other entry for an instant of which the clock shows the reading twice.
func onceAt(t time.Time) Interval { return Interval{Every: time.Duration(t.Unix()) * time.Second} }

// onceFrom is how long an interval must be to be one of onceAt; those of callers are at most a year.
const onceFrom = 10 * 366 * 24 * time.Hour

// markPrefix begins the comment of the mark.
const markPrefix = "Clock changes of these years are spelled out; checksum "

// mark is the calendar that says what the entries cover: the thirtieth of February of the years. It has a checksum, so
// that entries that were changed by other means are recognised.
func (e Entries) mark(of Coverage) Calendar {
	m := Calendar{Second: 1, Minute: 1, Hour: 1, DayOfMonth: 1 << 30, Month: 1 << 2, DayOfWeek: allWeek, Comment: markPrefix + e.checksum()}
	for y := of.From; y <= of.To; y++ {
		m.Years = append(m.Years, y)
	}
	return m
}

func (e Entries) checksum() string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(e.Zone.String()+"\n"+strings.Join(e.lines(), "\n"))))[:16]
}

// lines are the calendars and intervals as text, in an order that does not depend on theirs.
func (e Entries) lines() []string {
	var lines []string
	for _, c := range e.Calendars {
		lines = append(lines, fmt.Sprint(c.Second, c.Minute, c.Hour, c.DayOfMonth, c.Month, c.DayOfWeek, c.Years, c.Comment))
	}
	for _, i := range e.Intervals {
		lines = append(lines, fmt.Sprint(int64(i.Every/time.Second), int64(i.Offset/time.Second)))
	}
	slices.Sort(lines)
	return lines
}

// same reports whether two entries hold the same times and say the same of what they cover.
func (e Entries) same(other Entries) bool {
	_, one := e.covered()
	_, two := other.covered()
	return one == two && slices.Equal(e.lines(), other.lines())
}

// covered takes the mark out of the excluded calendars. The coverage is none when there is no mark, or the entries have
// been changed since it was made.
func (e Entries) covered() (excluded []Calendar, of Coverage) {
	for _, c := range e.Excluded {
		sum, marked := strings.CutPrefix(c.Comment, markPrefix)
		switch {
		case !marked:
			excluded = append(excluded, c)
		case sum == e.checksum() && len(c.Years) > 0:
			of = Coverage{From: c.Years[0], To: c.Years[len(c.Years)-1]}
		}
	}
	return excluded, of
}

// Plan is Plan.Entries backwards: the plan that the entries were made of, and what they cover. Calendars that do not
// stand for an expression as it was given are native.
func (e Entries) Plan() (p Plan, of Coverage) {
	p = Plan{Zone: e.Zone, StartAt: e.StartAt, EndAt: e.EndAt, Jitter: e.Jitter}
	p.Excluded, of = e.covered()
	spelled := of != Coverage{}
	for _, i := range e.Intervals {
		if !spelled || i.Every < onceFrom {
			p.Intervals = append(p.Intervals, i)
		}
	}
	for _, c := range e.Calendars {
		made, err := parseCron(c.Comment)
		known := slices.ContainsFunc(p.Calendars, func(d Calendar) bool { return d.Comment == c.Comment })
		switch {
		case err == nil && known && (spelled || slices.ContainsFunc(made, c.same)):
		case err == nil && (spelled || e.has(made)):
			p.Calendars = append(p.Calendars, made...)
		default:
			p.Native = append(p.Native, c)
		}
	}
	return p, of
}

// has reports whether all that an expression stands for is there.
func (e Entries) has(made []Calendar) bool {
	for _, m := range made {
		if !slices.ContainsFunc(e.Calendars, func(d Calendar) bool { return d.Comment == m.Comment && d.same(m) }) {
			return false
		}
	}
	return true
}

// native is the entries as a plan all of which is read as Temporal does.
func (e Entries) native() Plan {
	return Plan{Native: e.Calendars, Intervals: e.Intervals, Excluded: e.Excluded, Zone: e.Zone, StartAt: e.StartAt, EndAt: e.EndAt, Jitter: e.Jitter}
}

// agrees reports whether Temporal fires at the times of the plan in a span, for which only the days around changes of
// the clocks are looked at.
func (e Entries) agrees(p Plan, from, to time.Time) bool {
	for change := range clockChanges(e.Zone, from.Add(-48*time.Hour), to.Add(48*time.Hour)) {
		w := change.window()
		first, last := later(w.from().Add(-24*time.Hour), from), earlier(w.to().Add(24*time.Hour), to)
		if !slices.EqualFunc(e.native().Between(first, last, counted), p.Between(first, last, counted), time.Time.Equal) {
			return false
		}
	}
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
