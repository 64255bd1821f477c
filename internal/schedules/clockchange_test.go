package schedules

import (
	"archive/zip"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// zones returns every zone whose clock changes between 2026 and 2030, one of each set of changes, from the database
// that comes with the Go toolchain: whatever the machine has installed, the outcome is the same.
func zones(t *testing.T) []*time.Location {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	var found []*time.Location
	known, all := map[string]bool{}, 0
	for _, f := range archive.File {
		if f.FileInfo().IsDir() {
			continue
		}
		data, err := read(f)
		if err != nil {
			t.Fatal(err)
		}
		zone, err := time.LoadLocationFromTZData(f.Name, data)
		if err != nil {
			t.Fatal(err)
		}
		all++
		changes := slices.Collect(clockChanges(zone, date(2026), date(2031)))
		if text := fmt.Sprint(changes); len(changes) > 0 && !known[text] {
			known[text] = true
			found = append(found, zone)
		}
	}
	if all < 500 || len(found) < 25 {
		t.Fatalf("%d zones, %d of which differ: the database is not whole", all, len(found))
	}
	return found
}

func read(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(r)
}

func date(year int) time.Time { return time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC) }

// expressions are those that a change of the clocks may touch in one way or another, and some of chance.
func expressions(random *rand.Rand) []string {
	all := []string{
		"* * * * *", "*/5 * * * *", "*/7 * * * *", "0 * * * *", "30 * * * *", "0 0-23 * * *", "15 * * * sun", "30 * 1-7 * *", "59 * * 3,4,10,11 *",
		"0 0 * * *", "30 0 * * *", "30 1 * * *", "15 2 * * *", "30 2 * * *", "0 3 * * *", "30 23 * * *", "59 23 * * sat", "0 9 * * fri", "0 9 * * thu",
		"*/20 2 * * *", "* 1 * * *", "0 */2 * * *", "*/30 1-3 * * *", "0 0 * * sun", "45 23 1-7 * mon", "0 2 25-31 3,10 *", "0 12 * * *", "5 4 29 2 *",
	}
	field := func(low, high int) string {
		from := low + random.IntN(high-low+1)
		return []string{"*", fmt.Sprint(from), fmt.Sprintf("%d-%d", from, from+random.IntN(high-from+1)), fmt.Sprintf("*/%d", 1+random.IntN(high))}[random.IntN(4)]
	}
	for range 3 {
		all = append(all, strings.Join([]string{field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)}, " "))
	}
	return all
}

// minute is what a clock shows at one instant.
type minute struct {
	at       time.Time
	repeated bool // it has shown the same before

	minute, hour, day, month, weekday int
}

// minutes looks at a clock each minute of a span.
func minutes(zone *time.Location, from, to time.Time) []minute {
	var all []minute
	shown := map[int64]bool{}
	for t := from.Add(-26 * time.Hour); !t.After(to); t = t.Add(time.Minute) {
		local := t.In(zone)
		_, offset := local.Zone()
		reading := t.Unix() + int64(offset)
		if !t.Before(from) {
			all = append(all, minute{
				at: t, repeated: shown[reading], minute: local.Minute(), hour: local.Hour(), day: local.Day(), month: int(local.Month()), weekday: int(local.Weekday()),
			})
		}
		shown[reading] = true
	}
	return all
}

// documented returns the firing times of an expression among the minutes, as docs/schedules.md has them.
func documented(made []Calendar, all []minute) []time.Time {
	var times []time.Time
	for _, m := range all {
		if slices.ContainsFunc(made, func(c Calendar) bool {
			return has(c.Minute, m.minute) && has(c.Hour, m.hour) && (c.Hour == allHours || !m.repeated) &&
				has(c.DayOfMonth, m.day) && has(c.Month, m.month) && has(c.DayOfWeek, m.weekday)
		}) {
			times = append(times, m.at)
		}
	}
	return times
}

// The documented rule, the preview and what Temporal makes of the entries are the same around every change of every
// clock from 2026 to 2030, to the minute.
func TestPlan_AgreesWithRuleAndEntriesAroundEveryClockChange(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(20261129, 12)) //nolint:gosec // the same expressions each time
	compared := 0
	for _, zone := range zones(t) {
		plans := map[string]Plan{}
		for _, text := range expressions(random) {
			made, err := parseCron(text)
			if err != nil {
				t.Fatal(err)
			}
			plans[text] = Plan{Calendars: made, Zone: zone}
		}
		for change := range clockChanges(zone, date(2026), date(2031)) {
			at := time.Unix(change.at, 0)
			from, to := at.Add(-4*time.Hour), at.Add(26*time.Hour)
			all := minutes(zone, from, to)
			for text, p := range plans {
				e := p.Entries(Coverage{at.Year(), at.Year()})
				if back, _ := e.Plan(); fmt.Sprint(back.Calendars) != fmt.Sprint(p.Calendars) || len(back.Native)+len(back.Intervals)+len(back.Excluded) > 0 {
					t.Fatalf("%q in %s comes back as %+v", text, zone, back)
				}
				want := documented(p.Calendars, all)
				for what, got := range map[string][]time.Time{
					"the preview": p.Between(from, to, counted), "what Temporal does": e.native().Between(from, to, counted),
				} {
					if compared++; !slices.EqualFunc(got, want, time.Time.Equal) {
						t.Errorf("%q in %s around %s: %s has %s too much and lacks %s", text, zone, at.In(zone), what, differ(zone, got, want), differ(zone, want, got))
					}
				}
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d comparisons", compared)
}

// differ shows the times that are not among others.
func differ(zone *time.Location, times, others []time.Time) string {
	var lines []string
	for _, at := range times {
		if !contains(others, at) {
			lines = append(lines, at.In(zone).Format(time.RFC3339))
		}
	}
	return strings.Join(lines, ", ")
}

// The cases of which Temporal's own reading differs.
func TestPlan_AtClockChanges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cron, zone, from, to string
		want                 int
	}{
		"an interval goes on through a repeated hour":       {"*/5 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T01:59:59Z", 24},
		"an interval goes on where an hour is skipped":      {"*/5 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:59:59Z", 24},
		"before the clock is put back at midnight":          {"30 23 * * *", "America/Santiago", "2026-04-04T12:00:00Z", "2026-04-05T12:00:00Z", 1},
		"before the clock is put forward at midnight":       {"30 23 * * *", "America/Santiago", "2026-09-05T12:00:00Z", "2026-09-06T12:00:00Z", 1},
		"skipped, by a clock that is put forward by half":   {"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-04T00:00:00Z", 0},
		"repeated, by a clock that is put back by half":     {"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-05T00:00:00Z", 1},
		"a day without midnight, by its day of the week":    {"0 9 * * fri", "Africa/Cairo", "2026-04-23T12:00:00Z", "2026-04-24T12:00:00Z", 1},
		"a day without midnight, by that of the day before": {"0 9 * * thu", "Africa/Cairo", "2026-04-24T00:00:00Z", "2026-04-24T12:00:00Z", 0},
		"hours of a day are no interval":                    {"*/5 2 * * *", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T12:00:00Z", 12},
	} {
		p := plan(t, Spec{Cron: []string{c.cron}, TimeZone: c.zone})
		got := p.Between(at(t, c.from), at(t, c.to), 100)
		if len(got) != c.want {
			t.Errorf("%s: %s, want %d", name, local(p, got), c.want)
		}
		held := p.Entries(Coverage{2026, 2026}).native().Between(at(t, c.from), at(t, c.to), 100)
		if !slices.EqualFunc(got, held, time.Time.Equal) {
			t.Errorf("%s: Temporal fires at %s, not at %s", name, local(p, held), local(p, got))
		}
	}
}

// Only expressions that have times near a change are spelled out; of the others Temporal holds one calendar.
func TestEntries_AreSmall(t *testing.T) {
	t.Parallel()
	for cron, most := range map[string][2]int{ // calendars and intervals in four years
		"0 9 * * mon-fri": {1, 0}, "0 12 1 * *": {1, 0}, "30 2 * * *": {14, 4}, "*/5 * * * *": {22, 200}, "* * * * *": {22, 1000},
	} {
		e := plan(t, Spec{Cron: []string{cron}, TimeZone: "Europe/Berlin"}).Entries(Coverage{2025, 2028})
		if len(e.Calendars) > most[0] || len(e.Intervals) > most[1] {
			t.Errorf("%s has %d calendars and %d intervals", cron, len(e.Calendars), len(e.Intervals))
		}
		if utc := plan(t, Spec{Cron: []string{cron}}).Entries(Coverage{2025, 2028}); len(utc.Calendars) != 1 || len(utc.Intervals)+len(utc.Excluded) != 0 {
			t.Errorf("%s in UTC is %+v", cron, utc)
		}
	}
}

// What somebody changes in Temporal is shown as it is there, and nothing of it is renewed away.
func TestEntries_ChangedByOtherMeans_AreNative(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-11-29T12:00:00Z")
	e := plan(t, Spec{Cron: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin"}).Entries(coverageAt(now))
	e.Calendars[0].Minute = 1 << 45
	p, of := e.Plan()
	if of != (Coverage{}) || len(p.Calendars) != 0 || len(p.Native) != len(e.Calendars) || len(p.Intervals) != len(e.Intervals) {
		t.Errorf("%+v covers %v", p, of)
	}
	if _, stale := (Held{Entries: e, Plan: p, Covered: of}).renewed(now, time.Time{}); stale {
		t.Error("it is to be renewed")
	}
}

// Entries are renewed at the turn of the year and when an earlier version made them; years that were added for a
// backfill stay until then.
func TestHeld_Renewed(t *testing.T) {
	t.Parallel()
	now, p := at(t, "2026-11-29T12:00:00Z"), plan(t, Spec{Cron: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin"})
	held := func(e Entries) Held {
		back, of := e.Plan()
		return Held{Entries: e, Plan: back, Covered: of}
	}
	fresh := held(p.Entries(coverageAt(now)))
	if _, stale := fresh.renewed(now, time.Time{}); stale {
		t.Error("fresh entries are to be renewed")
	}
	native := Entries{Calendars: p.Calendars, Zone: p.Zone}
	for name, e := range map[string]Entries{"of last year": p.Entries(Coverage{2024, 2027}), "of an earlier version": native} {
		again, stale := held(e).renewed(now, time.Time{})
		if !stale || !again.same(fresh.Entries) {
			t.Errorf("entries %s become %+v", name, again)
		}
	}
	longer, stale := fresh.renewed(now, at(t, "2020-01-01T00:00:00Z"))
	if _, of := longer.covered(); !stale || of != (Coverage{2020, 2028}) {
		t.Errorf("for a backfill they cover %v", of)
	}
	if _, stale := held(longer).renewed(now, time.Time{}); stale {
		t.Error("those of a backfill are to be renewed in the same year")
	}
	if next, stale := held(longer).renewed(now.AddDate(0, 2, 0), time.Time{}); !stale {
		t.Error("they are not to be renewed in the next year")
	} else if _, of := next.covered(); of != (Coverage{2026, 2029}) {
		t.Errorf("in the next year they cover %v", of)
	}
	if native.agrees(p, at(t, "2026-10-01T00:00:00Z"), now) || !native.agrees(p, at(t, "2026-11-01T00:00:00Z"), now) || !fresh.Entries.agrees(p, at(t, "2025-02-01T00:00:00Z"), now) {
		t.Error("where entries differ from the plan is not seen")
	}
}
