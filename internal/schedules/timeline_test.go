package schedules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/page"
)

// maxEntries is the limit of these timelines.
const maxEntries = 1000

// told is a timeline in few words: minute and result of each entry.
func told(l Timeline) string {
	var all []string
	for _, e := range l.Items {
		all = append(all, fmt.Sprintf("%d %s", e.At.Minute(), e.Result))
	}
	return strings.Join(all, ", ")
}

// A schedule of every minute, looked at half past: what happened to it since, and what the timeline makes of it.
func TestTheTimelineSaysWhy(t *testing.T) {
	t.Parallel()
	hour := at(t, "2026-11-25T09:00:00Z")
	minute := func(m int) time.Time { return hour.Add(time.Duration(m) * time.Minute) }
	ref := func(m int) *clock.Time {
		c := clock.At(minute(m))
		return &c
	}
	running := "running"
	started := func(m int, ended *clock.Time) firing {
		return firing{id: uuid.New(), nominal: minute(m), outcome: outcomeStarted, kind: KindSchedule, at: clock.At(minute(m)), run: &running, ended: ended}
	}
	did := func(m int, kind changeKind, note string) change {
		return change{kind: kind, at: clock.At(minute(m).Add(-time.Second)), note: note}
	}
	for name, c := range map[string]struct {
		overlap Overlap
		held    func(h *Held)
		firings []firing
		changes []change
		skipped []int
		from    int
		want    string
	}{
		"all is well":           {firings: []firing{started(28, ref(29)), started(29, ref(30)), started(30, nil)}, from: 28, want: "28 fired, 29 fired, 30 fired, 31 pending"},
		"the platform was away": {from: 27, want: "27 missed, 28 missed, 29 pending, 30 pending, 31 pending"},
		"a run goes on":         {firings: []firing{started(27, nil)}, from: 27, want: "27 fired, 28 skipped_overlap, 29 skipped_overlap, 30 skipped_overlap, 31 pending"},
		"a run went on":         {firings: []firing{started(26, ref(28))}, from: 26, want: "26 fired, 27 skipped_overlap, 28 missed, 29 pending, 30 pending, 31 pending"},
		"one waits":             {overlap: OverlapBufferOne, firings: []firing{started(27, nil)}, from: 27, want: "27 fired, 28 pending, 29 skipped_overlap, 30 skipped_overlap, 31 pending"},
		"all wait":              {overlap: OverlapBufferAll, firings: []firing{started(27, nil)}, from: 27, want: "27 fired, 28 pending, 29 pending, 30 pending, 31 pending"},
		"side by side":          {overlap: OverlapAllowAll, firings: []firing{started(26, nil)}, from: 26, want: "26 fired, 27 missed, 28 missed, 29 pending, 30 pending, 31 pending"},
		"a pause": {
			changes: []change{did(27, changePaused, "moving"), did(29, changeResumed, "")}, firings: []firing{started(29, ref(30)), started(30, nil)},
			from: 27, want: "27 paused, 28 paused, 29 fired, 30 fired, 31 pending",
		},
		"Temporal paused it": {held: func(h *Held) { h.Paused, h.Note = true, "failure" }, firings: []firing{started(27, ref(28))}, from: 27, want: "27 fired, 28 paused, 29 paused, 30 paused, 31 pending"},
		"skipped":            {skipped: []int{28, 31}, firings: []firing{started(29, ref(30)), started(30, nil)}, from: 28, want: "28 skipped, 29 fired, 30 fired, 31 skipped"},
		"no worker":          {held: func(h *Held) { h.Taken = []time.Time{minute(27)} }, from: 27, want: "27 pending, 28 missed, 29 pending, 30 pending, 31 pending"},
		"ended while it waited": {
			overlap: OverlapTerminateOther, from: 28, want: "28 refused, 29 fired, 30 pending, 31 pending",
			firings: []firing{{nominal: minute(28), outcome: outcomeWaiting, at: clock.At(minute(28))}, started(29, nil)},
		},
	} {
		p := plan(t, Spec{Cron: []string{"* * * * *"}})
		s := story{
			limit: maxEntries,
			now:   minute(30), known: hour, zone: time.UTC, firings: c.firings, changes: c.changes, times: p.Between(minute(c.from), minute(31), maxEntries+1),
			held: Held{Plan: p, Policy: Policy{Overlap: OverlapSkip, CatchUp: time.Minute}},
		}
		if c.overlap != "" {
			s.held.Policy.Overlap = c.overlap
		}
		if c.held != nil {
			c.held(&s.held)
		}
		for _, m := range c.skipped {
			s.skipped = append(s.skipped, skipOf(minute(m)))
		}
		if got := told(s.tell()); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}

func skipOf(at time.Time) change { return change{kind: changeSkipped, from: &at} }

// A span with more entries than one answer holds is told in parts, without a hole and without one twice.
func TestALongTimelineIsToldInParts(t *testing.T) {
	t.Parallel()
	p := plan(t, Spec{Cron: []string{"* * * * *"}})
	begin := at(t, "2026-11-20T00:00:00Z")
	end := begin.Add(2500*time.Minute - time.Second)
	var seen []time.Time
	parts := 0
	for from := begin; ; parts++ {
		s := story{limit: maxEntries, now: end, zone: time.UTC, times: p.Between(from, end, maxEntries+1), held: Held{Plan: p, Policy: Policy{Overlap: OverlapSkip}}}
		for m := 1; m < 2500; m += 2 { // every other one was fired, in the first half with a trigger beside it
			n := begin.Add(time.Duration(m) * time.Minute)
			if n.Before(from) || len(s.firings) > maxEntries {
				continue
			}
			s.firings = append(s.firings, firing{nominal: n, outcome: outcomeRefused, kind: KindSchedule})
			if m < 1250 && len(s.firings) <= maxEntries {
				s.firings = append(s.firings, firing{nominal: n.Add(time.Second), outcome: outcomeRefused, kind: KindTrigger})
			}
		}
		l := s.tell()
		for _, e := range l.Items {
			seen = append(seen, e.At.Time)
		}
		if len(l.Items) > maxEntries {
			t.Errorf("%d entries at once", len(l.Items))
		}
		if l.NextCursor == nil {
			break
		}
		next, err := page.DecodeTime(*l.NextCursor)
		if err != nil {
			t.Fatal(err)
		}
		from = next
	}
	if !slices.IsSortedFunc(seen, time.Time.Compare) || len(slices.CompactFunc(seen, time.Time.Equal)) != 2500+625 || parts < 2 {
		t.Errorf("%d entries in %d parts", len(seen), parts+1)
	}
}
