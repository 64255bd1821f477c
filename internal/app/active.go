package app

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// showEvery is how often the gauge of active runs is looked after. Datadog's agent makes a point of a
// gauge every 10 s.
const showEvery = 10 * time.Second

// showActive keeps the gauge of active runs true until ctx ends: a run that began here may end in another
// process, or be ended by nobody's connector.
func (a *App) showActive(ctx context.Context) {
	ticker := time.NewTicker(showEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := a.correctActive(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "the gauge of active runs was not corrected", "error", err)
		}
		a.datadog.ActiveRuns(a.Metrics.Runs.Active())
	}
}

// correctActive takes the runs that have ended out of the gauge.
func (a *App) correctActive(ctx context.Context) error {
	shown := a.Metrics.Runs.Active()
	if len(shown) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, 0, len(shown))
	for _, r := range shown {
		if id, err := uuid.Parse(r.ID); err == nil {
			ids = append(ids, id)
		}
	}
	active, err := a.Runs.StillActive(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !active[id] {
			a.Metrics.Runs.Deactivate(id.String())
		}
	}
	return nil
}
