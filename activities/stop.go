package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
)

// RunTimedOut is the error type of an activity that reached the time limit of its run.
const RunTimedOut = "run_timed_out"

var errDeadline = errors.New("the run's time limit")

// untilDeadline ends the context at the run's time limit. The activity notices by itself, before the
// server's own timeout, so that what was said and billed until then is still recorded.
func untilDeadline(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if p, ok := ctx.Value(pulseKey{}).(*pulse); ok {
		p.limit.Store(deadline.UnixNano())
	}
	return context.WithDeadlineCause(ctx, deadline, errDeadline)
}

// stopped reports whether the context ended because the run is to stop, by cancel or by its time
// limit, and not because this worker goes away.
func stopped(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return temporal.IsCanceledError(cause) || errors.Is(cause, errDeadline)
}

// interrupted translates an activity's error. Whatever fails because the run is to stop is that stop, and
// no failure of the run.
func interrupted(ctx context.Context, err error) error {
	switch {
	case err != nil && stopped(ctx):
		return stopError(ctx)
	case err != nil && errors.Is(context.Cause(ctx), errWorkerStops):
		return temporal.NewApplicationErrorWithOptions(errWorkerStops.Error(), "interrupted", temporal.ApplicationErrorOptions{
			NextRetryDelay: time.Millisecond, Category: temporal.ApplicationErrorCategoryBenign,
		})
	}
	return translate(err)
}

// stopError is what an activity that was stopped returns.
func stopError(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errDeadline) {
		return temporal.NewNonRetryableApplicationError("the run reached its time limit", RunTimedOut, nil)
	}
	return temporal.NewCanceledError()
}
