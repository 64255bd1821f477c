package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/storable"
)

// retryable is the one table that says which of our codes may succeed when tried again.
var retryable = map[fault.Code]bool{
	fault.Malformed:           false,
	fault.Unauthenticated:     false,
	fault.Forbidden:           false,
	fault.TenantSuspended:     false,
	fault.NotFound:            false,
	fault.MethodNotAllowed:    false,
	fault.Conflict:            false,
	fault.RunFinal:            false,
	fault.ThreadBusy:          true,
	fault.TooLarge:            false,
	fault.UnsupportedMedia:    false,
	fault.Invalid:             false,
	fault.IdempotencyMismatch: false,
	fault.IdempotencyBusy:     true,
	fault.RateLimited:         true,
	fault.QuotaExceeded:       false,
	fault.Paused:              true,
	fault.Unavailable:         true,
	fault.Timeout:             true,
	fault.Cancelled:           true,
	fault.Internal:            true, // a defect that a deploy may mend; the run's time limit bounds it
}

// Types of application errors that a model's failure becomes: "model:" and its class.
const modelFailure = "model:"

// ModelFailureType is the error type of a class of model failures.
func ModelFailureType(c llm.Class) string { return modelFailure + string(c) }

// translate gives an error the form that Temporal retries, or not, by its class. It is the only place
// where that is decided.
func translate(err error) error {
	if err == nil || temporal.IsCanceledError(err) {
		return err
	}
	var model *llm.Error
	if errors.As(err, &model) {
		return temporal.NewApplicationErrorWithOptions(storable.Text(model.Detail), ModelFailureType(model.Class), temporal.ApplicationErrorOptions{
			NonRetryable: !model.Class.Retryable(), NextRetryDelay: boundedDelay(model.RetryAfter),
		})
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return temporal.NewApplicationErrorWithOptions(storable.Text(known.Detail), string(known.Code), temporal.ApplicationErrorOptions{
			NonRetryable: !retryable[known.Code], NextRetryDelay: boundedDelay(known.RetryAfter), Cause: readable(known.Unwrap()),
		})
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return temporal.NewApplicationError(storable.Text(err.Error()), "interrupted") // this worker goes away: another one takes over
	}
	return temporal.NewApplicationErrorWithOptions("unexpected failure", string(fault.Internal), temporal.ApplicationErrorOptions{Cause: readable(err)})
}

// readable returns an error that the engine can be sent. Its messages are UTF-8, and an error may repeat bytes of a
// server's header: then the failure could not be reported, and the activity would hang until its time is over.
func readable(err error) error {
	if err == nil || storable.IsText(err.Error()) {
		return err
	}
	return errors.New(storable.Text(err.Error()))
}

// maxRetryAfter bounds what a provider may ask us to wait.
const maxRetryAfter = 5 * time.Minute

func boundedDelay(d time.Duration) time.Duration { return min(d, maxRetryAfter) }
