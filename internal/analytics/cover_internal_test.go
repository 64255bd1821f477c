package analytics

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Every moment of the buckets is in one stretch, whose cells lie within one bucket.
func TestStretchesCoverTheBuckets(t *testing.T) {
	t.Parallel()
	zones := []*time.Location{time.UTC, zone(t, "Europe/Berlin"), zone(t, "Asia/Kathmandu"), zone(t, "Australia/Lord_Howe"), zone(t, "America/Los_Angeles")}
	rapid.Check(t, func(t *rapid.T) {
		bucket := rapid.SampledFrom([]Bucket{Hour, Day, Month, Total}).Draw(t, "bucket")
		from := earliest().Add(time.Duration(rapid.Int64Range(0, int64(30*365*24*time.Hour)).Draw(t, "from")))
		to := from.Add(time.Duration(rapid.Int64Range(1, int64(100*24*time.Hour)).Draw(t, "span")))
		edges := bucket.edges(from, to, rapid.SampledFrom(zones).Draw(t, "zone"), MaxRows)
		at, edge := edges[0], 1
		for _, s := range cover(edges) {
			if !s.low.Equal(at) || !s.low.Before(s.high) || s.grain.floor(s.low) != s.low || s.grain.floor(s.high) != s.high {
				t.Fatalf("after %v comes %+v", at, s)
			}
			for cell := s.low; cell.Before(s.high); cell = cell.Add(s.grain.length()) {
				for !cell.Before(edges[edge]) {
					edge++
				}
				if cell.Add(s.grain.length()).After(edges[edge]) {
					t.Fatalf("a cell of %d minutes at %v reaches over %v", s.grain, cell, edges[edge])
				}
			}
			at = s.high
		}
		if !at.Equal(edges[len(edges)-1]) {
			t.Fatalf("the stretches end at %v, the buckets at %v", at, edges[len(edges)-1])
		}
	})
}
