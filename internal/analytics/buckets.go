package analytics

import "time"

// Bucket is the length of what a row sums up.
type Bucket string

// The buckets. An hour is one of the clock on the wall; days and months are the zone's, 23 or 25 hours where its
// clocks are changed.
const (
	Hour  Bucket = "hour"
	Day   Bucket = "day"
	Month Bucket = "month"
	Total Bucket = "total" // one bucket for the whole span, in whole hours
)

// usual gives where a span begins that has no other beginning.
func (b Bucket) usual(to time.Time) time.Time {
	switch b {
	case Hour:
		return to.Add(-24 * time.Hour)
	case Month:
		return to.AddDate(-1, 0, 0)
	case Day, Total:
	}
	return to.AddDate(0, 0, -30)
}

// edges gives where buckets begin and, last, where they end, so that they cover the span. nil: there are more
// than limit of them.
func (b Bucket) edges(from, to time.Time, zone *time.Location, limit int) []time.Time {
	at := b.floor(from.In(zone))
	edges := []time.Time{at.UTC()}
	if b == Total {
		end := Hour.floor(to.In(zone))
		if end.Before(to) {
			end = end.Add(time.Hour)
		}
		return append(edges, end.UTC())
	}
	for at.Before(to) {
		if at = b.next(at); len(edges) > limit {
			return nil
		}
		edges = append(edges, at.UTC())
	}
	return edges
}

func (b Bucket) floor(at time.Time) time.Time {
	y, m, d := at.Date()
	switch b {
	case Day:
		return midnight(y, m, d, at.Location())
	case Month:
		return midnight(y, m, 1, at.Location())
	case Hour, Total:
	}
	return at.Add(-time.Duration(at.Minute())*time.Minute - time.Duration(at.Second())*time.Second - time.Duration(at.Nanosecond()))
}

func (b Bucket) next(at time.Time) time.Time {
	y, m, d := at.Date()
	if b == Hour {
		return at.Add(time.Hour)
	}
	for n := 1; ; n++ { // a zone that moved across the date line has a day that never was
		next := midnight(y, m, d+n, at.Location())
		if b == Month {
			next = midnight(y, m+time.Month(n), 1, at.Location())
		}
		if next.After(at) {
			return next
		}
	}
}

// midnight gives the first moment of a day. Some zones change their clocks at midnight: then a day begins at one,
// or twice, and time.Date promises nothing.
func midnight(y int, m time.Month, d int, zone *time.Location) time.Time {
	at := time.Date(y, m, d, 0, 0, 0, 0, zone)
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	since, until := at.ZoneBounds()
	switch local := wall(at); {
	case local.Before(day): // it is the evening before: the day begins with the change
		return until
	case local.After(day): // it begins with the change, which was not at midnight itself
		return since
	case since.IsZero():
		return at
	}
	_, before := since.Add(-1).Zone()
	_, now := at.Zone()
	if first := at.Add(time.Duration(now-before) * time.Second); first.Before(since) && wall(first).Equal(day) {
		return first
	}
	return at
}

// wall is what the clock on the wall shows, as if it were in UTC.
func wall(at time.Time) time.Time {
	y, m, d := at.Date()
	return time.Date(y, m, d, at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
}
