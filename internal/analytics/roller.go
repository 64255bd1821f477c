package analytics

import (
	"context"
	"time"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

const (
	rollEvery = time.Second
	rollLimit = 30 * time.Second // of one statement
	rollPages = 250              // of facts in one statement: some ten thousand
)

// RunRoller moves facts into the rollups until ctx ends. Every process runs one; one at a time is at work. When
// none is, answers stay right and become slower.
func (s *Service) RunRoller(ctx context.Context) {
	ticker := time.NewTicker(rollEvery)
	defer ticker.Stop()
	for {
		if err := s.Roll(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "facts wait to be rolled up", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Roll moves all facts into the rollups, of every tenant, unless another roller is at it.
func (s *Service) Roll(ctx context.Context) error {
	for {
		n, err := s.roll(ctx)
		if err != nil || n == 0 {
			return err
		}
	}
}

func (s *Service) roll(ctx context.Context) (int64, error) {
	ctx, stop := context.WithTimeout(postgres.AsSystem(ctx), rollLimit)
	defer stop()
	return s.store.roll(ctx, rollPages)
}

// MaxRebuild bounds a rebuild.
const MaxRebuild = 92 * 24 * time.Hour

// Rebuild is what was made anew.
type Rebuild struct {
	From  clock.Time `json:"from" required:"true" description:"Beginning of the span, in whole days of UTC."`
	To    clock.Time `json:"to" required:"true" description:"End of the span."`
	Facts int64      `json:"facts" required:"true" description:"Facts that the rollups are made from again."`
}

// rebuildStep is how much of a span is made anew in one transaction, during which nothing else is rolled up.
const rebuildStep = 24 * time.Hour

// Rebuild makes the tenant's rollups of a span anew, from the runs and steps that there are: what removed runs
// left is forgotten. Answers stay whole meanwhile. A rebuild that breaks off has made the beginning of the span anew.
func (s *Service) Rebuild(ctx context.Context, from, to time.Time) (Rebuild, error) {
	day := grains()[0]
	low, high := day.floor(from.UTC()), day.ceil(to.UTC())
	switch {
	case !from.Before(to):
		return Rebuild{}, fault.InvalidField("to", "gtfield", "must be after from")
	case from.Before(earliest()):
		return Rebuild{}, fault.InvalidField("from", "min", "must not be before the year 2000")
	case to.After(latest()):
		return Rebuild{}, fault.InvalidField("to", "max", "must not be after the year 2199")
	case high.Sub(low) > MaxRebuild:
		return Rebuild{}, fault.InvalidField("to", "max", "must be at most %d days after from: rebuild a longer span in parts", MaxRebuild/(24*time.Hour))
	}
	done := Rebuild{From: clock.At(low), To: clock.At(high)}
	for at := low; at.Before(high); at = at.Add(rebuildStep) {
		n, err := s.store.rebuild(ctx, at, at.Add(rebuildStep))
		if err != nil {
			return Rebuild{}, err
		}
		done.Facts += n
	}
	return done, nil
}
