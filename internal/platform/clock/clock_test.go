package clock_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/clock"
)

func TestTimesAlwaysHaveThreeDecimals(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("CET", 3600)
	for want, at := range map[string]time.Time{
		`"2026-11-22T15:04:05.000Z"`: time.Date(2026, 11, 22, 16, 4, 5, 0, berlin),
		`"2026-11-22T15:04:05.120Z"`: time.Date(2026, 11, 22, 15, 4, 5, 120_999_999, time.UTC),
	} {
		got, err := json.Marshal(clock.At(at))
		if err != nil || string(got) != want {
			t.Errorf("%s is written %s (error %v), want %s", at, got, err, want)
		}
		var back clock.Time
		if err := json.Unmarshal(got, &back); err != nil || back != clock.At(at) {
			t.Errorf("%s is read back as %v (error %v)", got, back, err)
		}
	}
	if _, err := json.Marshal(clock.Time{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}); err == nil {
		t.Error("a year of five digits was written")
	}
	var none clock.Time
	if err := none.Scan("text"); err == nil {
		t.Error("a text was scanned as a time")
	}
}
