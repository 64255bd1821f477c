package replay

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// folder holds one history for each execution, named <scenario>.<n>.json.
const folder = "testdata/histories"

// plugged gives the options of a replayer as it has to be.
func plugged(t *testing.T) worker.WorkflowReplayerOptions {
	t.Helper()
	plugin, err := workflows.Plugin()
	if err != nil {
		t.Fatal(err)
	}
	return worker.WorkflowReplayerOptions{Plugins: []worker.Plugin{plugin}}
}

// replay executes a history again with the run's workflow as given.
func replay(t *testing.T, o worker.WorkflowReplayerOptions, agentRun any, h *history.History) error {
	t.Helper()
	replayer, err := worker.NewWorkflowReplayerWithOptions(o)
	if err != nil {
		t.Fatal(err)
	}
	replayer.RegisterWorkflowWithOptions(agentRun, workflow.RegisterOptions{Name: workflows.AgentRunName})
	replayer.RegisterWorkflowWithOptions(workflows.DeliverEvent, workflow.RegisterOptions{Name: workflows.DeliverEventName})
	replayer.RegisterWorkflowWithOptions(workflows.Reconcile, workflow.RegisterOptions{Name: workflows.ReconcileName})
	replayer.RegisterWorkflowWithOptions(workflows.FireSchedule, workflow.RegisterOptions{Name: workflows.FireScheduleName})
	replayer.RegisterWorkflowWithOptions(workflows.DeleteTenant, workflow.RegisterOptions{Name: workflows.DeleteTenantName})
	return replayer.ReplayWorkflowHistoryWithOptions(telemetry.TemporalLogger(slog.New(slog.DiscardHandler)), h,
		worker.ReplayWorkflowHistoryOptions{OriginalExecution: workflow.Execution{ID: started(h).GetWorkflowId(), RunID: started(h).GetOriginalExecutionRunId()}})
}

// stored gives the stored histories by their names.
func stored(t *testing.T) map[string]*history.History {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no histories in %s: %v", folder, err)
	}
	all := map[string]*history.History{}
	for _, path := range paths {
		f, err := os.Open(path) //nolint:gosec // of our own folder
		if err != nil {
			t.Fatal(err)
		}
		h, err := client.HistoryFromJSON(f, client.HistoryJSONOptions{})
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".json")] = h
	}
	return all
}

func TestStoredHistoriesReplay(t *testing.T) {
	t.Parallel()
	all := stored(t)
	for _, sc := range scenarios("") {
		if all[sc.name+".1"] == nil {
			t.Errorf("there is no history of %s: run go test ./tests/replay -record", sc.name)
		}
	}
	if all["continued_as_new.3"] == nil {
		t.Error("the run that continues as new has no third execution")
	}
	for name, h := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := replay(t, plugged(t), workflows.AgentRun, h); err != nil {
				t.Errorf("the workflow decides otherwise than it did: %v", err)
			}
		})
	}
}

// A replay that cannot fail proves nothing: neither a change of the workflow nor a missing interceptor
// goes unnoticed.
func TestAChangeOfTheWorkflowIsNoticed(t *testing.T) {
	t.Parallel()
	all := stored(t)
	another := func(ctx workflow.Context, in workflows.RunInput) (workflows.RunResult, error) {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 1})
		if err := workflow.ExecuteActivity(ctx, "Prepare", in.RunRef).Get(ctx, nil); err != nil {
			return workflows.RunResult{}, err
		}
		return workflows.AgentRun(ctx, in)
	}
	tried := 0
	for name, h := range all {
		if started(h).GetWorkflowType().GetName() != workflows.AgentRunName || name == "cancelled_in_the_queue.1" { // its body does nothing
			continue
		}
		tried++
		if err := replay(t, plugged(t), another, h); err == nil {
			t.Errorf("%s: an activity more went unnoticed", name)
		}
		if name == "continued_as_new.2" { // neither the first nor the last: the interceptor does nothing
			continue
		}
		if err := replay(t, worker.WorkflowReplayerOptions{}, workflows.AgentRun, h); err == nil {
			t.Errorf("%s: a missing interceptor went unnoticed", name)
		}
	}
	if tried < 10 {
		t.Errorf("only %d histories were tried", tried)
	}
}

// Histories are paid for and have a limit; a change that makes them longer is a decision.
func TestHistoriesAreShort(t *testing.T) {
	t.Parallel()
	most := map[string]int{"completed.1": 16, "completed_with_tools.1": 46, "cancelled_in_the_queue.1": 12}
	all := stored(t)
	for name, limit := range most {
		if n := len(all[name].GetEvents()); n == 0 || n > limit {
			t.Errorf("%s has %d events, at most %d are expected", name, n, limit)
		}
	}
}

// Each way in which a run goes, without a workflow cache: what is not deterministic shows at once. With
// -record its histories are stored.
func TestEveryScenarioRunsWithoutACache(t *testing.T) {
	t.Parallel()
	for _, sc := range scenarios(receiver(t)) {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			p := sc.run(t)
			harness.WantWhole(t, p.events)
			if p.run.Status != sc.status {
				t.Errorf("the run is %+v, want it %s", p.run, sc.status)
			}
			for i, h := range p.histories(t, sc) {
				if err := replay(t, plugged(t), workflows.AgentRun, h); err != nil {
					t.Errorf("execution %d: %v", i+1, err)
				}
				for _, e := range h.GetEvents() {
					if failed := e.GetWorkflowTaskFailedEventAttributes(); failed != nil {
						t.Errorf("execution %d: a workflow task failed: %s", i+1, failed.GetFailure().GetMessage())
					}
				}
				if *record {
					store(t, fmt.Sprintf("%s.%d", sc.name, i+1), h)
				}
			}
		})
	}
}

func store(t *testing.T, name string, h *history.History) {
	t.Helper()
	data, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(folder, name+".json")) //nolint:gosec // names are the scenarios'
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(f, string(data)+"\n")
	if cerr := f.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
}
