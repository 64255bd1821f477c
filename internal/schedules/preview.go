package schedules

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
)

// Ahead asks for firings to come.
type Ahead struct {
	From  *time.Time
	Count int
}

// Moment is a firing time.
type Moment struct {
	At    clock.Time `json:"at" required:"true"`
	Local string     `json:"local" required:"true" description:"The same by the clock of the schedule's zone." example:"2026-11-25T09:00:00+01:00"`
}

func momentAt(t time.Time, zone *time.Location) Moment {
	return Moment{At: clock.At(t), Local: t.In(zone).Format(time.RFC3339)}
}

// FiringPreview is the next firings of a spec.
type FiringPreview struct {
	TimeZone string   `json:"time_zone" required:"true"`
	Items    []Moment `json:"items" required:"true" nullable:"false" description:"In order, without jitter. Fewer than asked for: there are no more."`
}

// Next gives the firings of a schedule to come. It says nothing of a pause.
func (s *Service) Next(ctx context.Context, id uuid.UUID, a Ahead) (FiringPreview, error) {
	_, h, found, err := s.load(ctx, id)
	if err != nil {
		return FiringPreview{}, err
	}
	if !found {
		return FiringPreview{TimeZone: time.UTC.String(), Items: []Moment{}}, nil
	}
	return h.Plan.preview(a), nil
}

// Preview gives the firings that a schedule of the spec would have, and refuses what Create would.
func (s *Service) Preview(_ context.Context, spec Spec, a Ahead) (FiringPreview, error) {
	p, err := spec.Compile(s.Rules, time.Now())
	if err != nil {
		return FiringPreview{}, err
	}
	return p.preview(a), nil
}

func (p Plan) preview(a Ahead) FiringPreview {
	from := time.Now()
	if a.From != nil {
		from = a.From.Add(-time.Nanosecond)
	}
	shown := FiringPreview{TimeZone: p.Zone.String(), Items: []Moment{}}
	for _, t := range p.Next(from, a.Count) {
		shown.Items = append(shown.Items, momentAt(t, p.Zone))
	}
	return shown
}
