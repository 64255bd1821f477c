package analytics

import (
	"testing"
	"time"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestBucketsFollowTheClocksOfTheirZone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		zone     string
		bucket   Bucket
		from, to string // on the wall
		hours    []float64
	}{
		"summer time ends":         {"Europe/Berlin", Day, "2026-10-24 05:00", "2026-10-26 00:01", []float64{24, 25, 24}},
		"summer time begins":       {"Europe/Berlin", Day, "2026-03-28 00:00", "2026-03-30 00:00", []float64{24, 23}},
		"no summer time":           {"Asia/Jakarta", Day, "2026-10-24 00:00", "2026-10-27 00:00", []float64{24, 24, 24}},
		"half past":                {"Asia/Kolkata", Hour, "2026-10-24 10:59", "2026-10-24 12:00", []float64{1, 1}},
		"a month with a change":    {"Europe/Berlin", Month, "2026-10-31 23:00", "2026-11-01 01:00", []float64{31*24 + 1, 30 * 24}},
		"the clocks go at 0:00":    {"America/Asuncion", Day, "2023-09-30 12:00", "2023-10-02 12:00", []float64{24, 23, 24}},
		"0:00 comes twice":         {"America/Havana", Day, "2026-10-31 12:00", "2026-11-02 12:00", []float64{24, 25, 24}},
		"a day that never was":     {"Pacific/Apia", Day, "2011-12-29 12:00", "2011-12-31 12:00", []float64{24, 24}},
		"half an hour of summer":   {"Australia/Lord_Howe", Day, "2026-04-04 12:00", "2026-04-05 12:00", []float64{24, 24.5}},
		"the repeated hour is two": {"Europe/Berlin", Hour, "2026-10-25 01:30", "2026-10-25 03:30", []float64{1, 1, 1, 1}},
		"all of it":                {"UTC", Total, "2026-01-01 00:30", "2026-01-03 01:30", []float64{50}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := zone(t, tc.zone)
			from, err := time.ParseInLocation("2006-01-02 15:04", tc.from, z)
			if err != nil {
				t.Fatal(err)
			}
			to, err := time.ParseInLocation("2006-01-02 15:04", tc.to, z)
			if err != nil {
				t.Fatal(err)
			}
			edges := tc.bucket.edges(from, to, z, 100)
			if len(edges) != len(tc.hours)+1 || edges[0].After(from) || edges[len(edges)-1].Before(to) {
				t.Fatalf("the edges are %v", edges)
			}
			for i, want := range tc.hours {
				if got := edges[i+1].Sub(edges[i]).Hours(); got != want {
					t.Errorf("bucket %d, from %v, has %v hours, want %v", i, edges[i].In(z), got, want)
				}
			}
		})
	}
}

// In every zone that there is, the days of some years follow each other without a gap and begin with a quarter.
func TestDaysOfAllZones(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Africa/Cairo", "Africa/Casablanca", "America/Asuncion", "America/Havana", "America/Santiago", "America/Sao_Paulo", "America/St_Johns",
		"Antarctica/Troll", "Asia/Amman", "Asia/Beirut", "Asia/Damascus", "Asia/Gaza", "Asia/Kathmandu", "Asia/Tehran", "Atlantic/Azores",
		"Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham", "Pacific/Kiritimati", "Europe/Berlin", "America/Nuuk", "UTC",
	} {
		z := zone(t, name)
		edges := Day.edges(time.Date(2005, 1, 1, 0, 0, 0, 0, z), time.Date(2030, 1, 1, 0, 0, 0, 0, z), z, MaxRows)
		for i := 1; i < len(edges); i++ {
			before, at := edges[i-1].In(z), edges[i].In(z)
			_, _, day := at.Add(-time.Nanosecond).Date()
			if !at.After(before) || at.Day() == day || before.Day() != day || at.Minute()%15 != 0 || at.Second() != 0 {
				t.Fatalf("%s: after %v comes %v", name, before, at)
			}
		}
	}
}

func TestTooManyBuckets(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if edges := Hour.edges(from, from.Add(100*time.Hour), time.UTC, 100); len(edges) != 101 {
		t.Errorf("%d edges of 100 hours", len(edges))
	}
	if edges := Hour.edges(from, from.Add(101*time.Hour), time.UTC, 100); edges != nil {
		t.Errorf("%d edges are more than was allowed", len(edges))
	}
}

func TestQuantiles(t *testing.T) {
	t.Parallel()
	var h histogram
	if h.timing().P50MS != nil {
		t.Error("nothing has a median")
	}
	h = histogram{n: 4, sum: 100, max: 40}
	h.counts[0], h.counts[2] = 2, 2 // below 16, and from 32 on
	for q, want := range map[float64]int64{0.25: 8, 0.5: 16, 0.75: 36, 1: 40} {
		if got := h.quantile(q); got != want {
			t.Errorf("the quantile %v is %d, want %d", q, got, want)
		}
	}
	h = histogram{n: 1, sum: 1 << 30, max: 1 << 30}
	h.counts[histogramBuckets-1] = 1
	if got := h.quantile(0.99); got > 1<<30 || got < 1<<26 {
		t.Errorf("in the last bucket: %d", got)
	}
}
