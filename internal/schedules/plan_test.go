package schedules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/tests/pace"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func plan(t *testing.T, s Spec) Plan {
	t.Helper()
	p, err := s.Compile(Rules{MinInterval: time.Second}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func local(p Plan, times []time.Time) string {
	var all []string
	for _, t := range times {
		all = append(all, t.In(p.Zone).Format("2006-01-02T15:04:05-07"))
	}
	return strings.Join(all, " ")
}

func TestTimesByTheClock(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec  Spec
		after string
		want  string
	}{
		"working days": {
			Spec{Cron: []string{"0 9 * * 1-5"}, TimeZone: "Europe/Berlin"},
			"2026-11-27T08:00:00Z",
			"2026-11-30T09:00:00+01 2026-12-01T09:00:00+01 2026-12-02T09:00:00+01",
		},
		"the clock skips an hour": { // 29 March 2026: 02:00 is 03:00
			Spec{Cron: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin"},
			"2026-03-27T12:00:00Z",
			"2026-03-28T02:30:00+01 2026-03-30T02:30:00+02 2026-03-31T02:30:00+02",
		},
		"the clock repeats an hour": { // 25 October 2026: 03:00 is 02:00
			Spec{Cron: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin"},
			"2026-10-24T12:00:00Z",
			"2026-10-25T02:30:00+02 2026-10-26T02:30:00+01 2026-10-27T02:30:00+01",
		},
		"midnight does not exist": { // Santiago, 6 September 2026: 00:00 is 01:00
			Spec{Cron: []string{"0 1 * * *"}, TimeZone: "America/Santiago"},
			"2026-09-05T12:00:00Z",
			"2026-09-06T01:00:00-03 2026-09-07T01:00:00-03 2026-09-08T01:00:00-03",
		},
		"leap day":   {Spec{Cron: []string{"0 0 29 2 *"}}, "2026-01-01T00:00:00Z", "2028-02-29T00:00:00+00 2032-02-29T00:00:00+00 2036-02-29T00:00:00+00"},
		"either day": {Spec{Cron: []string{"0 0 13 * fri"}}, "2026-11-10T00:00:00Z", "2026-11-13T00:00:00+00 2026-11-20T00:00:00+00 2026-11-27T00:00:00+00"},
		"interval":   {Spec{Every: []Every{{EverySeconds: 3600, OffsetSeconds: 60}}}, "2026-11-10T00:01:00Z", "2026-11-10T01:01:00+00 2026-11-10T02:01:00+00 2026-11-10T03:01:00+00"},
		"both, each once": {
			Spec{Cron: []string{"0 * * * *", "*/30 * * * *"}, Every: []Every{{EverySeconds: 1800}}},
			"2026-11-10T00:00:00Z",
			"2026-11-10T00:30:00+00 2026-11-10T01:00:00+00 2026-11-10T01:30:00+00",
		},
	} {
		p := plan(t, c.spec)
		if got := local(p, p.Next(at(t, c.after), 3)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestBoundsAreIncluded(t *testing.T) {
	t.Parallel()
	start, end := clock.At(at(t, "2099-01-01T00:00:00Z")), clock.At(at(t, "2099-01-01T02:00:00Z"))
	p := plan(t, Spec{Cron: []string{"@hourly"}, StartAt: &start, EndAt: &end})
	if got := p.Next(time.Now(), 10); len(got) != 3 || !got[0].Equal(start.Time) || !got[2].Equal(end.Time) {
		t.Errorf("the firings are %s", local(p, got))
	}
	if got := p.Between(start.Time, end.Time, 10); len(got) != 3 {
		t.Errorf("between the bounds there are %s", local(p, got))
	}
	if !p.Fires(start.Time) || p.Fires(start.Add(time.Second).Time) {
		t.Error("the first firing is one, the second after it is none")
	}
}

func TestSkippedTimes(t *testing.T) {
	t.Parallel()
	p := plan(t, Spec{Cron: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin"})
	from := at(t, "2026-11-24T12:00:00Z")
	times := p.Next(from, 4)
	less := p.skipping(times[1:2])
	if got := less.Next(from, 3); !slices.Equal(got, []time.Time{times[0], times[2], times[3]}) {
		t.Errorf("left out one of %s: %s", local(p, times), local(p, got))
	}
	if got := less.Skipped(from); len(got) != 1 || !got[0].Equal(times[1]) {
		t.Errorf("skipped are %v", got)
	}
	if got := less.withoutSkips().Next(from, 4); !slices.Equal(got, times) {
		t.Errorf("without skips: %s", local(p, got))
	}
}

func TestSpecsAreRefusedWithAReason(t *testing.T) {
	t.Parallel()
	far, epoch := clock.At(at(t, "9999-12-31T23:59:59Z")), clock.At(at(t, "1969-12-31T23:59:59Z"))
	early, late := clock.At(at(t, "2020-01-01T00:00:00Z")), clock.At(at(t, "2098-01-01T00:00:00Z"))
	for name, c := range map[string]struct {
		spec        Spec
		field, rule string
	}{
		"nothing":            {Spec{}, "spec.cron", "required"},
		"a wrong expression": {Spec{Cron: []string{"@daily", "x"}}, "spec.cron[1]", "cron"},
		"no zone":            {Spec{Cron: []string{"@daily"}, TimeZone: "Mars/Olympus"}, "spec.time_zone", "time_zone"},
		"a path":             {Spec{Cron: []string{"@daily"}, TimeZone: "../../etc/passwd"}, "spec.time_zone", "time_zone"},
		"this machine's":     {Spec{Cron: []string{"@daily"}, TimeZone: "Local"}, "spec.time_zone", "time_zone"},
		"too often":          {Spec{Every: []Every{{EverySeconds: 59}}}, "spec.every[0].every_seconds", "min"},
		"an offset too far":  {Spec{Every: []Every{{EverySeconds: 60, OffsetSeconds: 60}}}, "spec.every[0].offset_seconds", "lt"},
		"too often together": {Spec{Every: []Every{{EverySeconds: 60}, {EverySeconds: 60, OffsetSeconds: 30}}}, "spec", "min_interval"},
		"never":              {Spec{Cron: []string{"0 0 30 2 *"}}, "spec", "never"},
		"over":               {Spec{Cron: []string{"@daily"}, EndAt: &early}, "spec", "never"},
		"over since ever":    {Spec{Cron: []string{"@daily"}, EndAt: &clock.Time{}}, "spec.end_at", "range"},
		"never over":         {Spec{Cron: []string{"@daily"}, EndAt: &far}, "spec.end_at", "range"},
		"never begun":        {Spec{Cron: []string{"@daily"}, StartAt: &far}, "spec.start_at", "range"},
		"begun before time":  {Spec{Cron: []string{"@daily"}, StartAt: &epoch}, "spec.start_at", "range"},
		"backwards":          {Spec{Cron: []string{"@daily"}, StartAt: &late, EndAt: &early}, "spec.end_at", "gt"},
	} {
		_, err := c.spec.Compile(Rules{MinInterval: time.Minute}, time.Now())
		f, ok := err.(*fault.Error) //nolint:errorlint // it is not wrapped
		if !ok || f.Code != fault.Invalid || f.Fields[0].Field != c.field || f.Fields[0].Rule != c.rule {
			t.Errorf("%s: %v, want %s %s", name, err, c.field, c.rule)
		}
	}
	if _, err := (Spec{Cron: []string{"* * * * *"}}).Compile(Rules{MinInterval: time.Minute}, time.Now()); err != nil {
		t.Errorf("every minute: %v", err)
	}
}

func TestSpecsComeBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	end := clock.At(at(t, "2098-01-01T00:00:00Z"))
	s := Spec{
		Cron: []string{"0 9 * * mon-fri", "0 9 13 * fri", "@daily"}, Every: []Every{{EverySeconds: 3600, OffsetSeconds: 5}},
		TimeZone: "Asia/Jakarta", JitterSeconds: 30, EndAt: &end,
	}
	if got := fmt.Sprint(plan(t, s).spec()); got != fmt.Sprint(s) {
		t.Errorf("%s, want %s", got, fmt.Sprint(s))
	}
	// An operator changed one of the two calendars of an expression: it does not say any more what happens.
	e := plan(t, Spec{Cron: []string{"0 9 13 * fri"}}).Entries(Coverage{2026, 2029})
	e.Calendars = e.Calendars[:1]
	p, _ := e.Plan()
	if got := p.spec().Cron; !slices.Equal(got, []string{"0 9 13 * *"}) {
		t.Errorf("half of an expression comes back as %q", got)
	}
}

func TestFiring_KeyIsOfScheduleTimeAndExecution(t *testing.T) {
	t.Parallel()
	f := Firing{ScheduleID: uuid.New(), Nominal: at(t, "2026-11-25T09:00:00Z"), Execution: "a"}
	if again := f; f.key().Version() != 8 || again.key() != f.key() || f.nominalID().Version() != 7 {
		t.Errorf("%s and %s are not UUIDv8 and UUIDv7", f.key(), f.nominalID())
	}
	for _, other := range []Firing{
		{ScheduleID: f.ScheduleID, Nominal: f.Nominal, Execution: "b"},
		{ScheduleID: f.ScheduleID, Nominal: f.Nominal.Add(time.Second), Execution: "a"},
		{ScheduleID: uuid.New(), Nominal: f.Nominal, Execution: "a"},
	} {
		if other.key() == f.key() || other.nominalID() == f.nominalID() {
			t.Errorf("%+v and %+v are one firing", f, other)
		}
	}
}

// Calendars that are slow to ask do not make a plan slow.
func TestRareTimesAreCheap(t *testing.T) {
	t.Parallel()
	s := Spec{Every: []Every{{EverySeconds: 60}}}
	for range 20 {
		s.Cron = append(s.Cron, "0 0 30 2 *")
	}
	p, began := plan(t, s), pace.Start(t)
	if n := len(p.Next(time.Now(), counted)); n != counted {
		t.Errorf("%d firings", n)
	}
	if took := began.Took(); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
