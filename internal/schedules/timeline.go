package schedules

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
)

// Result is what became of a firing time.
type Result string

// The results.
const (
	HasFired       Result = "fired"           // there is a run
	Refused        Result = "refused"         // the platform did not accept the run; code and detail say why
	SkippedOverlap Result = "skipped_overlap" // the run of an earlier firing went on
	Skipped        Result = "skipped"         // on request
	WasPaused      Result = "paused"          // the schedule was paused
	Missed         Result = "missed"          // the catch-up window passed while the platform was away
	Pending        Result = "pending"         // it is to come, or waits
)

// TimelineEntry is one firing time and what became of it.
type TimelineEntry struct {
	Moment
	Kind      Kind        `json:"kind" required:"true" enum:"schedule,trigger,backfill" description:"Its time came, somebody triggered it, or it was backfilled."`
	Result    Result      `json:"result" required:"true" enum:"fired,refused,skipped_overlap,skipped,paused,missed,pending"`
	RunID     *uuid.UUID  `json:"run_id" required:"true"`
	RunStatus *string     `json:"run_status" required:"true" description:"The run's status now."`
	FiredAt   *clock.Time `json:"fired_at" required:"true" description:"When it reached the platform."`
	Code      string      `json:"code" required:"true" description:"Why it was refused, or waits, as problems have it; empty otherwise."`
	Detail    string      `json:"detail" required:"true" description:"The reason in a sentence; may be empty."`
}

// Timeline is what became of the firing times of a span.
type Timeline struct {
	Items []TimelineEntry `json:"items" required:"true" nullable:"false" description:"In order of their nominal times."`
	// NextCursor is where to go on.
	NextCursor *string `json:"next_cursor" required:"true" description:"Cursor of the next page; null: the span is complete."`
	// KnownFrom says since when what did not happen is known.
	KnownFrom clock.Time `json:"known_from" required:"true" description:"The last change of spec or overlap policy. Before it, only firings that reached the platform are listed."`
}

const (
	// maxSpan bounds a timeline.
	maxSpan = 366 * 24 * time.Hour
	// looksBack is how many firings before a span are looked at for runs that reach into it.
	looksBack = 100
)

// Timeline says of each firing time of a span what became of it, and why; at most limit of them.
func (s *Service) Timeline(ctx context.Context, id uuid.UUID, from, to *time.Time, limit int) (Timeline, error) {
	now := time.Now()
	until := now
	if to != nil {
		until = *to
	}
	since := until.Add(-24 * time.Hour)
	if from != nil {
		since = *from
	}
	r, h, found, err := s.load(ctx, id)
	switch {
	case err != nil:
		return Timeline{}, err
	case until.Before(since):
		return Timeline{}, fault.InvalidField("to", "gte", "must not be before from")
	case until.Sub(since) > maxSpan:
		return Timeline{}, fault.InvalidField("from", "max", "must not be more than 366 days before to")
	}
	story, err := s.story(ctx, &story{now: now, limit: limit, held: h, zone: time.UTC, known: r.createdAt.Time}, r, found, since, until)
	if err != nil {
		return Timeline{}, err
	}
	return story.tell(), nil
}

// story is all that a timeline is made of.
type story struct {
	now      time.Time
	limit    int       // of entries
	known    time.Time // since when what did not happen is known
	held     Held
	zone     *time.Location
	times    []time.Time // of the plan, skipped ones included
	firings  []firing    // of the span
	earlier  []firing    // whose runs may reach into it
	changes  []change
	skipped  []change
	buffered bool // an entry was said to be next in turn
}

func (s *Service) story(ctx context.Context, t *story, r row, found bool, from, to time.Time) (_ *story, err error) {
	if t.changes, err = s.store.changes(ctx, r.id, t.now); err != nil {
		return nil, err
	}
	for _, c := range t.changes {
		if c.kind == changeCreated || c.kind == changeRespecified {
			t.known = c.at.Time
		}
	}
	if t.firings, err = s.store.firings(ctx, r.id, from, to, t.limit+1); err != nil {
		return nil, err
	}
	if t.earlier, err = s.store.before(ctx, r.id, from, looksBack); err != nil {
		return nil, err
	}
	if t.skipped, err = s.store.skips(ctx, r.id, from, to); err != nil || !found {
		return t, err
	}
	t.zone = t.held.Plan.Zone
	if from.Before(t.known) {
		from = t.known
	}
	t.times = t.held.Plan.withoutSkips().Between(from, to, t.limit+1)
	return t, nil
}

func (t *story) tell() Timeline {
	line := Timeline{Items: []TimelineEntry{}, KnownFrom: clock.At(t.known)}
	recorded := map[int64]bool{}
	for _, f := range t.firings {
		recorded[f.nominal.Unix()] = true
		line.Items = append(line.Items, t.happened(f))
	}
	for _, at := range t.times {
		if !recorded[at.Unix()] {
			line.Items = append(line.Items, t.entry(at))
		}
	}
	slices.SortStableFunc(line.Items, func(a, b TimelineEntry) int { return a.At.Compare(b.At.Time) })
	if end, ok := t.end(line.Items); ok {
		line.Items = slices.DeleteFunc(line.Items, func(e TimelineEntry) bool { return !e.At.Before(end) })
		next := page.EncodeTime(end)
		line.NextCursor = &next
	}
	return line
}

// end is the time from which entries are left to the next answer: where one of the lists was cut, or where the
// entries are too many.
func (t *story) end(items []TimelineEntry) (end time.Time, cut bool) {
	at := func(e time.Time) {
		if !cut || e.Before(end) {
			end, cut = e, true
		}
	}
	if len(t.times) > t.limit {
		at(t.times[t.limit])
	}
	if len(t.firings) > t.limit {
		at(t.firings[t.limit].nominal)
	}
	if len(items) > t.limit {
		at(items[t.limit].At.Time)
	}
	return end, cut
}

// happened is the entry of a firing that reached the platform.
func (t *story) happened(f firing) TimelineEntry {
	e := TimelineEntry{Moment: momentAt(f.nominal, t.zone), Kind: f.kind, FiredAt: &f.at, Code: string(f.code), Detail: f.detail}
	switch f.outcome {
	case outcomeStarted:
		e.Result, e.RunID, e.RunStatus = HasFired, &f.id, f.run
	case outcomeWaiting:
		e.Result = Pending
		if t.superseded(f) {
			e.Result, e.Code, e.Detail = Refused, string(fault.Cancelled), "It was ended while it waited, for a later firing."
		}
	case outcomeRefused, outcomeCancelled:
		e.Result = Refused
	}
	return e
}

// superseded reports whether a firing that waits was terminated in favour of a later one: its workflow got no word.
func (t *story) superseded(f firing) bool {
	return t.held.Policy.Overlap == OverlapTerminateOther && slices.ContainsFunc(t.firings, func(o firing) bool { return o.nominal.After(f.nominal) })
}

// entry says why there is no firing for a time of the plan.
func (t *story) entry(at time.Time) TimelineEntry {
	e := TimelineEntry{Moment: momentAt(at, t.zone), Kind: KindSchedule}
	switch {
	case slices.ContainsFunc(t.skipped, func(c change) bool { return c.from.Equal(at) }):
		e.Result = Skipped
	case at.After(t.now):
		e.Result = Pending
	case contains(t.held.Taken, at):
		e.Result, e.Detail = Pending, "Temporal has begun it and no worker has taken it on yet."
	default:
		e.Result, e.Detail = t.why(at)
	}
	return e
}

func (t *story) why(at time.Time) (Result, string) {
	if note, paused := t.pausedAt(at); paused {
		return WasPaused, note
	}
	if busy, ok := t.busyAt(at); ok && t.held.Policy.Overlap != OverlapAllowAll {
		ended := busy.ended != nil
		first := !t.buffered
		switch t.held.Policy.Overlap {
		case OverlapBufferAll:
			if !ended {
				return Pending, "It waits for its turn."
			}
		case OverlapBufferOne, OverlapCancelOther, OverlapTerminateOther:
			if !ended && first {
				t.buffered = true
				return Pending, "It waits for the end of the run before it."
			}
		case OverlapSkip, OverlapAllowAll:
		}
		return SkippedOverlap, fmt.Sprintf("The run %s went on.", busy.id)
	}
	if late := t.now.Sub(at); late <= t.held.Policy.CatchUp+t.held.Plan.Jitter {
		return Pending, "It may still be made up for."
	}
	return Missed, fmt.Sprintf("The platform was away for longer than the catch-up window of %s.", t.held.Policy.CatchUp)
}

// pausedAt reports whether the schedule was paused at a time, and with which note. A pause that is not on record is
// one of Temporal's own, after a failure, or an operator's: it began after the last firing.
func (t *story) pausedAt(at time.Time) (note string, paused bool) {
	var last change
	for _, c := range t.changes {
		if c.kind != changePaused && c.kind != changeResumed {
			continue
		}
		if !c.at.Time.After(at) {
			note, paused = c.note, c.kind == changePaused
		}
		last = c
	}
	if paused || !t.held.Paused || last.kind == changePaused || last.at.Time.After(at) {
		return note, paused
	}
	for _, f := range t.firings {
		if f.nominal.After(at) && f.kind == KindSchedule {
			return "", false
		}
	}
	return t.held.Note, true
}

// busyAt gives the firing whose run went on at a time.
func (t *story) busyAt(at time.Time) (busy firing, ok bool) {
	for _, list := range [][]firing{t.earlier, t.firings} {
		for _, f := range list {
			going := f.outcome == outcomeWaiting || f.outcome == outcomeStarted && f.run != nil
			if going && !f.at.Time.After(at) && (f.ended == nil || f.ended.Time.After(at)) {
				busy, ok = f, true
			}
		}
	}
	return busy, ok
}
