package schedules

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCron(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0 9 * * 1-5":                "0 9 * * 1-5",
		"0 9 * * mon-fri":            "0 9 * * 1-5",
		" 30\t8  1,15 JAN-mar/2 * ":  "30 8 1,15 1,3 *",
		"*/15 * * * *":               "0,15,30,45 * * * *",
		"5/20 * * * *":               "5,25,45 * * * *",
		"0 0 * * 7":                  "0 0 * * 0",
		"0 0 * * fri-sun":            "0 0 * * 0,5-6",
		"0 0 * * 5-7":                "0 0 * * 0,5-6",
		"@daily":                     "0 0 * * *",
		"@Hourly":                    "0 * * * *",
		"@weekly":                    "0 0 * * 0",
		"@monthly":                   "0 0 1 * *",
		"@annually":                  "0 0 1 1 *",
		"0 0 13 * */2":               "0 0 0 13 * 0,2,4,6 *", // a star in one field: both must match
		"59 23 31 12 *":              "59 23 31 12 *",
		"0-59 0-23 1-31 1-12 *":      "* * * * *",
		"10-20/5,40,50-59/3 * * * *": "10,15,20,40,50,53,56,59 * * * *",
	} {
		got, err := parseCron(text)
		if err != nil || len(got) != 1 || got[0].String() != want {
			t.Errorf("%q is %v (error %v), want %q", text, got, err, want)
		}
	}
	either, err := parseCron("0 9 13 * fri")
	if err != nil || len(either) != 2 || either[0].String() != "0 9 13 * *" || either[1].String() != "0 9 * * 5" {
		t.Errorf("a day of the month or of the week: %v (error %v)", either, err)
	}
}

func TestWhatIsNoCron(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"":                         "0 fields",
		"* * * *":                  "4 fields",
		"* * * * * *":              "6 fields",
		"60 * * * *":               "minute",
		"* 24 * * *":               "hour",
		"* * 0 * *":                "day of month",
		"* * 32 * *":               "day of month",
		"* * * 13 *":               "month",
		"* * * dec-jan *":          "ends before it begins",
		"* * * * 8":                "day of week",
		"* * * * monday":           "day of week",
		"*/0 * * * *":              "step",
		"*/61 * * * *":             "step",
		"*/-1 * * * *":             "step",
		"1-2-3 * * * *":            "2-3",
		"20-10 * * * *":            "ends before it begins",
		"1, * * * *":               `""`,
		"1,,2 * * * *":             `""`,
		"+1 * * * *":               "+1",
		"1/2/3 * * * *":            "step",
		"@every 5m":                "every",
		"@reboot":                  "none of",
		"CRON_TZ=UTC 0 9 * * *":    "time_zone",
		"TZ=Europe/Berlin 0 9 * *": "time_zone",
		"٣ * * * *":                "minute",
		"# * * * *":                "minute",
		strings.Repeat("1", 300):   "longer",
	} {
		if got, err := parseCron(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is %v (error %v), want an error with %q", text, got, err, says)
		}
	}
}

// FuzzCron: no text makes the parser panic or take long, and what it takes can be written, read again and executed.
func FuzzCron(f *testing.F) {
	for _, seed := range []string{"0 9 * * 1-5", "@daily", "*/7 1-3,5 31 feb,jun sun", "0 0 30 2 *", "5/20 * * * 7", "1-59/3 0-23/5 */2 * 1,2,3", "0 9 13 * fri", ""} {
		f.Add(seed, int64(1_800_000_000))
	}
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, after int64) {
		calendars, err := parseCron(text)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a word")
			}
			return
		}
		from := time.Unix(((after%4e9)+4e9)%4e9, 0)
		for _, c := range calendars {
			for name, set := range map[string][2]uint64{
				"second": {c.Second, allSeconds}, "minute": {c.Minute, allMinutes}, "hour": {c.Hour, allHours},
				"day": {c.DayOfMonth, allDays}, "month": {c.Month, allMonths}, "week": {c.DayOfWeek, allWeek},
			} {
				if set[0] == 0 || set[0]&^set[1] != 0 {
					t.Errorf("%q: the set of the %s is %b", text, name, set[0])
				}
			}
			if len(c.Comment) > maxCron {
				t.Errorf("%q: Temporal takes no comment of %d bytes", text, len(c.Comment))
			}
			if next, ok := c.next(from, time.UTC); ok && (!next.After(from) || !c.matches(next, time.UTC)) {
				t.Errorf("%q after %s gives %s, which is none of its times", text, from, next)
			}
			if next, ok := c.next(from, zone); ok && !next.After(from) {
				t.Errorf("%q after %s gives %s, which is no later", text, from, next)
			}
			again, err := parseCron(c.String())
			if fields := len(strings.Fields(c.String())); fields == 5 && (err != nil || len(again) != 1 || !again[0].same(c)) {
				t.Errorf("%q is written as %q, which is read as %v (error %v)", text, c, again, err)
			}
		}
		p := Plan{Calendars: calendars, Zone: zone}
		if s := p.spec(); !slices.Equal(s.Cron, []string{strings.TrimSpace(text)}) {
			t.Errorf("%q comes back as %q", text, s.Cron)
		}
	})
}
