package workflows

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/event"
)

func newEnvironment() (*testsuite.TestWorkflowEnvironment, RunInput) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivity(&activities.Activities{})
	return env, RunInput{
		RunRef: activities.RunRef{TenantID: uuid.New(), RunID: uuid.New()}, MaxSteps: 10, Timeout: time.Minute, ApprovalTTL: time.Hour,
	}
}

// The database is away, or the worker dies, at the moment at which somebody stops the run: the step ends
// with another error than a cancel. It is a cancel all the same.
func TestAStepThatDiesWhileItIsStopped(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{
		"refused":    temporal.NewNonRetryableApplicationError("no", "internal", nil),
		"heartbeats": temporal.NewHeartbeatTimeoutError(),
		"cancelled":  temporal.NewCanceledError(),
	} {
		env, in := newEnvironment()
		env.OnActivity("CallModel", mock.Anything, mock.Anything).After(2*time.Second).Return(activities.ModelTurn{}, cause)
		env.RegisterDelayedCallback(env.CancelWorkflow, time.Second)
		env.ExecuteWorkflow(AgentRun, in)
		if err := env.GetWorkflowError(); !temporal.IsCanceledError(err) {
			t.Errorf("%s: the run ended with %v", name, err)
		}
	}
}

// No step begins after the run's time.
func TestTheTimeIsOverBetweenTwoSteps(t *testing.T) {
	t.Parallel()
	env, in := newEnvironment()
	asked := 0
	env.OnActivity("CallModel", mock.Anything, mock.Anything).After(2*in.Timeout).Return(func() (activities.ModelTurn, error) {
		asked++
		return activities.ModelTurn{More: true}, nil
	})
	env.ExecuteWorkflow(AgentRun, in)
	var cause *temporal.ApplicationError
	if err := env.GetWorkflowError(); !errors.As(err, &cause) || cause.Type() != string(event.ErrorTimeout) || !strings.Contains(cause.Message(), "1m0s") {
		t.Errorf("the run ended with %v", err)
	}
	if asked != 1 {
		t.Errorf("the model was asked %d times", asked)
	}
}
