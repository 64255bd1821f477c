package schedules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the zones must be known whatever the machine has installed

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// Every is an interval as callers write it.
type Every struct {
	EverySeconds  int `json:"every_seconds" required:"true" validate:"min=1,max=31536000" minimum:"1" description:"Seconds from one firing to the next." example:"3600"`
	OffsetSeconds int `json:"offset_seconds,omitempty" validate:"min=0,max=31536000" description:"Moves the firings, which are otherwise counted from midnight of 1 January 1970 UTC; less than every_seconds."`
}

// Spec is when a schedule fires, as callers write it. At least one of Cron and Every is given.
type Spec struct {
	Cron          []string    `json:"cron,omitempty" validate:"max=20,dive,min=1,max=200" description:"Expressions of five fields (minute, hour, day of month, month, day of week), or @yearly, @monthly, @weekly, @daily, @hourly. As in crontab(5), a day matches by either of its two fields if neither begins with *." example:"[\"0 9 * * mon-fri\"]"`
	Every         []Every     `json:"every,omitempty" validate:"max=20,dive" description:"Intervals. They are counted in time that passes, not by the clock of the zone."`
	TimeZone      string      `json:"time_zone,omitempty" validate:"max=64" default:"UTC" example:"Europe/Berlin" description:"IANA name of the zone by whose clock cron expressions are read. A time that this clock skips has no firing. Of one that it shows twice only the first is a firing, unless the expression leaves no hour of the day out, such as */5 * * * *: that is an interval, which goes on in time that passes."`
	JitterSeconds int         `json:"jitter_seconds,omitempty" validate:"min=0,max=86400" description:"Firings are put off by up to so many seconds, each by its own share, never beyond the next."`
	StartAt       *clock.Time `json:"start_at,omitempty" description:"No firing before this time, which lies in the years 1970 to 2100."`
	EndAt         *clock.Time `json:"end_at,omitempty" description:"No firing after this time, which lies in the years 1970 to 2100."`
}

// Rules are what specs are held to beside their form.
type Rules struct {
	MinInterval time.Duration // between firings; the mean of sixty counts
}

const (
	specField = "spec"
	// meanOf is how many gaps between firings the mean of Rules.MinInterval is taken of.
	meanOf = 60
)

// Compile gives the plan of a spec, at a time from which it is to fire. Errors: Invalid, with the field.
func (s Spec) Compile(rules Rules, now time.Time) (Plan, error) {
	zone, err := location(s.TimeZone)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Zone: zone, Jitter: time.Duration(s.JitterSeconds) * time.Second, StartAt: second(s.StartAt), EndAt: second(s.EndAt)}
	for i, text := range s.Cron {
		calendars, err := parseCron(text)
		if err != nil {
			return Plan{}, fault.InvalidField(fmt.Sprintf("%s.cron[%d]", specField, i), "cron", "%s", err.Error())
		}
		if !slices.ContainsFunc(p.Calendars, func(c Calendar) bool { return c.Comment == calendars[0].Comment }) {
			p.Calendars = append(p.Calendars, calendars...)
		}
	}
	for i, e := range s.Every {
		field := fmt.Sprintf("%s.every[%d]", specField, i)
		every, offset := time.Duration(e.EverySeconds)*time.Second, time.Duration(e.OffsetSeconds)*time.Second
		switch {
		case every < max(rules.MinInterval, time.Second):
			return Plan{}, fault.InvalidField(field+".every_seconds", "min", "must be at least %d seconds", max(int(rules.MinInterval/time.Second), 1))
		case offset < 0 || offset >= every:
			return Plan{}, fault.InvalidField(field+".offset_seconds", "lt", "must be less than every_seconds")
		}
		p.Intervals = append(p.Intervals, Interval{Every: every, Offset: offset})
	}
	switch {
	case len(p.Calendars)+len(p.Intervals) == 0:
		return Plan{}, fault.InvalidField(specField+".cron", "required", "is required, or every in its place")
	case s.StartAt != nil && !inRange(p.StartAt):
		return Plan{}, fault.InvalidField(specField+".start_at", "range", "must be in the years 1970 to %d", lastYear)
	case s.EndAt != nil && !inRange(p.EndAt):
		return Plan{}, fault.InvalidField(specField+".end_at", "range", "must be in the years 1970 to %d; leave it out if there is no end", lastYear)
	case !p.EndAt.IsZero() && !p.EndAt.After(p.StartAt):
		return Plan{}, fault.InvalidField(specField+".end_at", "gt", "must be after start_at")
	}
	return p, p.check(rules, now)
}

func location(name string) (*time.Location, error) {
	wrong := fault.InvalidField(specField+".time_zone", "time_zone", "%q is no time zone of the IANA database, such as Europe/Berlin or UTC", name)
	if strings.EqualFold(name, "local") {
		return nil, wrong
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, wrong
	}
	return zone, nil
}

func second(t *clock.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Truncate(time.Second)
}

// inRange reports whether Temporal can hold a bound, and tell it from none.
func inRange(t time.Time) bool { return t.Year() >= 1970 && t.Year() <= lastYear }

// check refuses plans that never fire, or too often.
func (p Plan) check(rules Rules, now time.Time) error {
	first := p.Next(now, meanOf+1)
	if len(first) == 0 {
		return fault.InvalidField(specField, "never", "has no firing time in the future")
	}
	if n := len(first) - 1; n == meanOf && first[n].Sub(first[0]) < meanOf*rules.MinInterval {
		return fault.InvalidField(specField, "min_interval", "fires %d times in %s; at most one firing in %s is allowed", n, first[n].Sub(first[0]), rules.MinInterval)
	}
	return nil
}

// spec is Compile backwards. Calendars that Temporal was given by other means come as expressions of its own form.
func (p Plan) spec() Spec {
	s := Spec{TimeZone: cmp.Or(p.Zone.String(), "UTC"), JitterSeconds: int(p.Jitter / time.Second)}
	add := func(expression string) {
		if !slices.Contains(s.Cron, expression) {
			s.Cron = append(s.Cron, expression)
		}
	}
	for _, c := range p.Calendars {
		add(c.Comment)
	}
	for _, c := range p.Native {
		add(c.String())
	}
	for _, i := range p.Intervals {
		s.Every = append(s.Every, Every{EverySeconds: int(i.Every / time.Second), OffsetSeconds: int(i.Offset / time.Second)})
	}
	if !p.StartAt.IsZero() {
		at := clock.At(p.StartAt)
		s.StartAt = &at
	}
	if !p.EndAt.IsZero() {
		at := clock.At(p.EndAt)
		s.EndAt = &at
	}
	return s
}
