package workflows

import (
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/event"
)

// withinBudget reports whether another step may be taken.
func (r *agentRun) withinBudget(ctx workflow.Context) error {
	switch {
	case !workflow.Now(ctx).Before(r.state.Deadline):
		return r.timedOut()
	case r.state.Step >= r.in.MaxSteps:
		return failed(event.ErrorBudget, "The run used all of its %d steps without an answer.", r.in.MaxSteps)
	case r.in.MaxTokens != nil && r.state.Usage.Tokens() >= *r.in.MaxTokens:
		return failed(event.ErrorBudget, "The run used %d of its %d tokens.", r.state.Usage.Tokens(), *r.in.MaxTokens)
	case r.in.MaxCostUSD != nil && r.state.Usage.CostUSD.GreaterThanOrEqual(*r.in.MaxCostUSD):
		return failed(event.ErrorBudget, "The run cost %s of its %s US dollars.", r.state.Usage.CostUSD, r.in.MaxCostUSD)
	}
	return nil
}

// failed is an error that ends a run with the code.
func failed(code event.ErrorCode, format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), string(code), nil)
}

func (r *agentRun) timedOut() error {
	return failed(event.ErrorTimeout, "The run did not end within %s.", r.in.Timeout)
}

// failure turns an activity's error into one that ends the run with the code. A cancel stays a cancel;
// whatever happens once the time is over is a timeout.
func (r *agentRun) failure(ctx workflow.Context, err error, code event.ErrorCode) error {
	if temporal.IsCanceledError(err) {
		return err
	}
	if ctx.Err() != nil { // a step that dies of something else while it is asked to stop has stopped
		return temporal.NewCanceledError()
	}
	var cause *temporal.ApplicationError
	known := errors.As(err, &cause)
	if known && cause.Type() == string(event.ErrorQuota) {
		return failed(event.ErrorQuota, "%s", cause.Message())
	}
	if known && cause.Type() == activities.RunTimedOut || !workflow.Now(ctx).Before(r.state.Deadline) {
		return r.timedOut()
	}
	message := "The step did not end in time."
	if known {
		message = cause.Message()
		if !strings.HasPrefix(cause.Type(), activities.ModelFailureType("")) && code == event.ErrorModel {
			code = event.ErrorInternal
		}
	}
	return failed(code, "%s", message)
}
