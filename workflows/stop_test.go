package workflows

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/telemetry"
)

// thinking is a workflow environment in which the model is a function.
func thinking(callModel func(context.Context, activities.ModelCall) (activities.ModelTurn, error)) (*testsuite.TestWorkflowEnvironment, RunInput) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(telemetry.TemporalLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivityWithOptions(callModel, activity.RegisterOptions{Name: "CallModel"})
	return env, RunInput{
		RunRef: activities.RunRef{TenantID: uuid.New(), RunID: uuid.New()}, MaxSteps: 10, Timeout: time.Minute, ApprovalTTL: time.Hour,
	}
}

// No step begins after the run's time.
func TestTheTimeIsOverBetweenTwoSteps(t *testing.T) {
	t.Parallel()
	asked := 0
	env, in := thinking(func(context.Context, activities.ModelCall) (activities.ModelTurn, error) {
		asked++
		return activities.ModelTurn{More: true}, nil
	})
	in.State.Deadline = env.Now().Add(-time.Second)
	env.ExecuteWorkflow(AgentRun, in)
	var cause *temporal.ApplicationError
	if err := env.GetWorkflowError(); !errors.As(err, &cause) || cause.Type() != string(event.ErrorTimeout) || !strings.Contains(cause.Message(), "1m0s") {
		t.Errorf("the run ended with %v", err)
	}
	if asked != 0 {
		t.Errorf("the model was asked %d times", asked)
	}
}
