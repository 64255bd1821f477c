package integration

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// The database is away, or the worker dies, at the moment at which somebody stops the run: the step ends
// with another error than a cancel. It is a cancel all the same.
func TestAStepThatDiesWhileItIsStopped(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	for name, cause := range map[string]error{
		"for good":     temporal.NewNonRetryableApplicationError("no", "internal", nil),
		"for a while":  temporal.NewApplicationError("no database", "unavailable"),
		"time is over": temporal.NewNonRetryableApplicationError("late", activities.RunTimedOut, nil),
		"cancelled":    temporal.NewCanceledError(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queue, asked := "stop-"+uuid.NewString(), make(chan struct{}, 1)
			w := worker.New(s.Temporal, queue, worker.Options{MaxHeartbeatThrottleInterval: 50 * time.Millisecond, DisableRegistrationAliasing: true})
			w.RegisterWorkflowWithOptions(workflows.AgentRun, workflow.RegisterOptions{Name: workflows.AgentRunName})
			w.RegisterActivityWithOptions(func(ctx context.Context, _ activities.ModelCall) (activities.ModelTurn, error) {
				select {
				case asked <- struct{}{}:
				default:
				}
				for beat := time.NewTicker(50 * time.Millisecond); ; {
					select {
					case <-beat.C:
						activity.RecordHeartbeat(ctx)
					case <-ctx.Done():
						beat.Stop()
						return activities.ModelTurn{}, cause
					}
				}
			}, activity.RegisterOptions{Name: "CallModel"})
			must(t, w.Start())
			defer w.Stop()
			run, err := s.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: queue}, workflows.AgentRunName, workflows.RunInput{
				RunRef: activities.RunRef{TenantID: uuid.New(), RunID: uuid.New()}, MaxSteps: 10, Timeout: time.Minute,
			})
			must(t, err)
			wait(t, "the model is asked", asked)
			must(t, s.Temporal.CancelWorkflow(t.Context(), run.GetID(), ""))
			if err := run.Get(soon(t), nil); !temporal.IsCanceledError(err) {
				t.Errorf("the run ended with %v", err)
			}
		})
	}
}
