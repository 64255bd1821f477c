package workflows

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/event"
)

// A step that a quota holds back is asked again, ever later, as the same step; the wait is no time of the run.
func TestAStepIsHeldBack(t *testing.T) {
	t.Parallel()
	const times = 6
	var calls []activities.ModelCall
	var at []time.Time
	var now func() time.Time
	env, in := thinking(func(_ context.Context, call activities.ModelCall) (activities.ModelTurn, error) {
		calls, at = append(calls, call), append(at, now())
		if len(calls) <= times {
			return activities.ModelTurn{Held: "tokens_per_month"}, nil
		}
		return activities.ModelTurn{Usage: event.Usage{InputTokens: 3}, More: len(calls) == times+1}, nil
	})
	now = env.Now
	env.ExecuteWorkflow(AgentRun, in)
	var result RunResult
	if err := env.GetWorkflowResult(&result); err != nil || result.Steps != 2 || result.Usage.Tokens() != 6 {
		t.Fatalf("the run ended with %+v, %v", result, err)
	}
	pauses := []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, time.Minute, time.Minute}
	for i, call := range calls {
		step := 1
		if i == times+1 {
			step = 2
		}
		if call.Step != step || call.Held != (i > 0 && i <= times) {
			t.Errorf("call %d is %+v", i, call)
		}
		if left := call.Deadline.Sub(at[i]); left < in.Timeout-time.Second || left > in.Timeout+time.Second {
			t.Errorf("call %d has %s left of %s", i, left, in.Timeout)
		}
		if i > 0 && i <= times {
			if pause := at[i].Sub(at[i-1]).Round(time.Second); pause != pauses[i-1] {
				t.Errorf("before call %d it waited %s, want %s", i, pause, pauses[i-1])
			}
		}
	}
}

func TestAQuotaEndsARun(t *testing.T) {
	t.Parallel()
	env, in := thinking(func(context.Context, activities.ModelCall) (activities.ModelTurn, error) {
		return activities.ModelTurn{}, temporal.NewNonRetryableApplicationError("The quota is used up.", string(event.ErrorQuota), nil)
	})
	env.ExecuteWorkflow(AgentRun, in)
	var cause *temporal.ApplicationError
	if err := env.GetWorkflowError(); !errors.As(err, &cause) || cause.Type() != string(event.ErrorQuota) || cause.Message() != "The quota is used up." {
		t.Errorf("the run ended with %v", err)
	}
}
