package schedules

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

const (
	// maxBackfill is how many firings one backfill may have: as many as Temporal keeps waiting for their turn.
	maxBackfill = 1000
	// counted is up to where a backfill that is too large is counted.
	counted = 10_000
	// maxSkipped is how many firing times may be left out at a time.
	maxSkipped = 100
	// maxAhead is by how many seconds the nominal time of a trigger may lie ahead.
	maxAhead = 30
)

// Pause keeps a schedule from firing. Firing times that pass meanwhile are not made up for.
func (s *Service) Pause(ctx context.Context, id uuid.UUID, note string) (Schedule, error) {
	return s.toggle(ctx, id, true, note)
}

// Resume lets a paused schedule fire again.
func (s *Service) Resume(ctx context.Context, id uuid.UUID, note string) (Schedule, error) {
	return s.toggle(ctx, id, false, note)
}

func (s *Service) toggle(ctx context.Context, id uuid.UUID, pause bool, note string) (Schedule, error) {
	kind, word, becomes, tell := changeResumed, "resumed", Active, s.Engine.ResumeSchedule
	if pause {
		kind, word, becomes, tell = changePaused, "paused", Paused, s.Engine.PauseSchedule
	}
	if note == "" {
		note = word + " by " + scope.From(ctx).Actor
	}
	err := s.held(ctx, id, func(ctx context.Context, r row, h Held, found bool) error {
		switch {
		case !found:
			return missing()
		case h.Paused == pause && h.Note == note: // asked twice
			return nil
		case !pause:
			if err := checkEnd(ctx, h.Plan.EndAt); err != nil {
				return err
			}
		}
		c := s.change(ctx, id, kind)
		c.note = note
		if h.Paused != pause {
			if err := s.store.addChange(ctx, c); err != nil {
				return err
			}
		}
		if err := s.store.setSeen(ctx, id, becomes); err != nil {
			return err
		}
		return tell(ctx, r.tenant, id, note)
	})
	if err != nil {
		return Schedule{}, err
	}
	return s.Find(ctx, id)
}

// Triggered is a firing that was asked for.
type Triggered struct {
	At clock.Time `json:"at" required:"true" description:"The firing's nominal time, by which the timeline shows it."`
}

// Trigger fires now, also a paused schedule. An empty overlap is the schedule's own.
func (s *Service) Trigger(ctx context.Context, id uuid.UUID, o Overlap) (Triggered, error) {
	r, h, err := s.loadHeld(ctx, id)
	if err != nil {
		return Triggered{}, err
	}
	c := s.change(ctx, id, changeTriggered)
	c.note = string(o)
	at, err := s.freeSecond(ctx, h.Plan, &c)
	if err != nil {
		return Triggered{}, err
	}
	if err := s.Engine.TriggerSchedule(ctx, r.tenant, id, at, o); err != nil {
		return Triggered{}, s.withdraw(ctx, c, err)
	}
	return Triggered{At: clock.At(at)}, nil
}

// freeSecond finds a second near by for a trigger and records it. Temporal names a firing's workflow by its second:
// another trigger or a firing time has one of the same name.
func (s *Service) freeSecond(ctx context.Context, p Plan, c *change) (time.Time, error) {
	now := c.at.Truncate(time.Second)
	for ahead := range maxAhead {
		at := now.Add(time.Duration(ahead) * time.Second)
		if p.Fires(at) {
			continue
		}
		c.from, c.to = &at, &at
		if added, err := s.store.addTrigger(ctx, *c); added || err != nil {
			return at, err
		}
	}
	return now, fault.New(fault.RateLimited, "The schedule was triggered %d times in as many seconds.", maxAhead).After(time.Second)
}

// withdraw removes the record of what the engine was not told, and gives the cause.
func (s *Service) withdraw(ctx context.Context, c change, cause error) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if err := s.store.removeChange(ctx, c.id); err != nil {
		s.Logger.WarnContext(ctx, "the record of a firing that was not made stays", "schedule_id", c.schedule, "error", err)
	}
	return cause
}

// Backfill is a span whose firings are to be made now.
type Backfill struct {
	Start   clock.Time `json:"start" validate:"required" description:"From this time on."`
	End     clock.Time `json:"end" validate:"required" description:"Up to and with this time, which must not be in the future."`
	Overlap Overlap    `json:"overlap,omitempty" validate:"omitempty,oneof=skip buffer_one buffer_all cancel_other terminate_other allow_all" enum:"skip,buffer_one,buffer_all,cancel_other,terminate_other,allow_all" default:"buffer_all" description:"What becomes of a firing while the run of another goes on."`
}

// Backfilled says how many firings were asked for.
type Backfilled struct {
	Firings int        `json:"firings" required:"true"`
	Start   clock.Time `json:"start" required:"true" description:"The nominal time of the first."`
	End     clock.Time `json:"end" required:"true" description:"The nominal time of the last."`
}

// Backfill fires for each firing time of a span in the past, whether or not there was a firing then.
func (s *Service) Backfill(ctx context.Context, id uuid.UUID, b Backfill) (Backfilled, error) {
	c := s.change(ctx, id, changeBackfilled)
	r, h, err := s.loadHeld(ctx, id)
	switch {
	case err != nil:
		return Backfilled{}, err
	case b.End.Before(b.Start.Time):
		return Backfilled{}, fault.InvalidField("end", "gte", "must not be before start")
	case b.End.After(c.at):
		return Backfilled{}, fault.InvalidField("end", "lte", "must not be in the future")
	}
	times := h.Plan.Between(b.Start.Time, b.End.Time, counted+1)
	switch n := len(times); {
	case n == 0:
		return Backfilled{}, fault.InvalidField("start", "none", "and end have no firing time between them")
	case n > counted:
		return Backfilled{}, fault.InvalidField("end", "max", "takes in more than %d firings; at most %d are made at a time", counted, maxBackfill)
	case n > maxBackfill:
		return Backfilled{}, fault.InvalidField("end", "max", "takes in %d firings; at most %d are made at a time", n, maxBackfill)
	}
	if b.Overlap == "" {
		b.Overlap = OverlapBufferAll
	}
	first, last := times[0], times[len(times)-1]
	c.from, c.to, c.note = &first, &last, string(b.Overlap)
	if err := s.store.addChange(ctx, c); err != nil {
		return Backfilled{}, err
	}
	if err := s.Engine.BackfillSchedule(ctx, r.tenant, id, first, last, b.Overlap); err != nil {
		return Backfilled{}, s.withdraw(ctx, c, err)
	}
	return Backfilled{Firings: len(times), Start: clock.At(first), End: clock.At(last)}, nil
}

// Skip leaves out one firing time to come. Asking twice is asking once.
func (s *Service) Skip(ctx context.Context, id uuid.UUID, at time.Time) (Schedule, error) {
	err := s.held(ctx, id, func(ctx context.Context, r row, h Held, found bool) error {
		now := time.Now()
		skipped := h.Plan.Skipped(now)
		switch {
		case !found:
			return missing()
		case !at.After(now):
			return fault.InvalidField("at", "gt", "must be in the future")
		case contains(skipped, at):
			return nil
		case !h.Plan.Fires(at):
			return noFiring(h.Plan, at)
		case len(skipped) >= maxSkipped:
			return fault.New(fault.Conflict, "%d firing times are left out already, which is the limit.", len(skipped))
		}
		plan := h.Plan.skipping(append(skipped, at))
		// A reading of the clock is left out, and an hour that the clock repeats has each twice.
		for _, twin := range []time.Duration{-time.Hour, -30 * time.Minute, 30 * time.Minute, time.Hour} {
			if t := at.Add(twin); h.Plan.Fires(t) && !plan.Fires(t) {
				return fault.InvalidField("at", "repeated", "is shown by the clock of %s twice, and both are firing times: one cannot be left out alone", h.Plan.Zone)
			}
		}
		c := s.change(ctx, id, changeSkipped)
		c.from, c.to = &at, &at
		if err := s.store.addChange(ctx, c); err != nil {
			return err
		}
		return s.Engine.UpdateSchedule(ctx, Definition{TenantID: r.tenant, ID: id, Name: r.name, Plan: plan, Policy: h.Policy})
	})
	if err != nil {
		return Schedule{}, err
	}
	return s.Find(ctx, id)
}

func noFiring(p Plan, at time.Time) error {
	if next := p.Next(at, 1); len(next) == 1 {
		return fault.InvalidField("at", "firing", "is none of the schedule's firing times; the next one after it is %s", next[0].Format(time.RFC3339))
	}
	return fault.InvalidField("at", "firing", "is none of the schedule's firing times; there are none after it")
}

func contains(times []time.Time, t time.Time) bool {
	for _, other := range times {
		if other.Equal(t) {
			return true
		}
	}
	return false
}
