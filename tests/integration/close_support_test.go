package integration

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// pass makes one pass of the reconciler.
func pass(t testing.TB, p *harness.Process) runs.Pass {
	t.Helper()
	done, err := p.App.Runs.Reconcile(t.Context(), runs.Pass{}.Next(time.Now()))
	must(t, err)
	return done
}

// listed makes passes that see nothing but Temporal's list of closed workflows, until the run has ended.
func listed(t testing.TB, p *harness.Process, x *harness.Tenant, id uuid.UUID) {
	t.Helper()
	harness.Eventually(t, within, "the run's workflow is listed as closed", func() bool {
		next := runs.Pass{After: uuid.Max}.Next(time.Now())
		_, err := p.App.Runs.Reconcile(t.Context(), next)
		must(t, err)
		return runs.Status(x.FindRun(t, id).Status).Final()
	})
}

// wantEnd demands that the run ended as it should: once, in a whole log, and with an announcement.
func wantEnd(t *testing.T, s *harness.System, x *harness.Tenant, id uuid.UUID, status runs.Status, code event.ErrorCode) harness.Run {
	t.Helper()
	events := wholeLog(t, x, id)
	r := x.FindRun(t, id)
	if r.Status != string(status) {
		t.Errorf("the run is %s, want %s: %+v", r.Status, status, r.Error)
	}
	if code != "" {
		if r.Error == nil || r.Error.Code != code {
			t.Errorf("the run ended with %+v, want %s", r.Error, code)
		}
		if f := harness.Payload[event.Failed](t, last(events)); f.Code != code {
			t.Errorf("the log ends with %+v, want %s", f, code)
		}
	}
	harness.Eventually(t, within, "the trail has one start and one end", func() bool {
		rows := auditRows(t, s, id)
		return len(rows) == 2 && rows[0].Action == "run.start"
	})
	return r
}

// terminate does what an operator does in the Temporal UI.
func terminate(t testing.TB, s *harness.System, x *harness.Tenant, id uuid.UUID, reason string) {
	t.Helper()
	must(t, s.Temporal.TerminateWorkflow(t.Context(), workflows.RunWorkflowID(x.ID, id), "", reason))
}

// historyOf gives the latest execution's events.
func historyOf(t testing.TB, s *harness.System, x *harness.Tenant, id uuid.UUID) []*history.HistoryEvent {
	t.Helper()
	var all []*history.HistoryEvent
	iterator := s.Temporal.GetWorkflowHistory(t.Context(), workflows.RunWorkflowID(x.ID, id), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for iterator.HasNext() {
		e, err := iterator.Next()
		must(t, err)
		all = append(all, e)
	}
	return all
}

// reset begins the run's workflow again, as `temporal workflow reset` does: after its n-th workflow task,
// from 1; 0 is the last one.
func reset(t testing.TB, s *harness.System, x *harness.Tenant, id uuid.UUID, n int) {
	t.Helper()
	var tasks []int64
	for _, e := range historyOf(t, s, x, id) {
		if e.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			tasks = append(tasks, e.GetEventId())
		}
	}
	if n == 0 {
		n = len(tasks)
	}
	if len(tasks) < n {
		t.Fatalf("the workflow has had %d tasks", len(tasks))
	}
	resetTo(t, s, x, id, tasks[n-1])
}

// resetTo begins the run's workflow again after the workflow task that ended with the event. Signals of after it are
// sent again, except where they are excluded.
func resetTo(t testing.TB, s *harness.System, x *harness.Tenant, id uuid.UUID, event int64, exclude ...enums.ResetReapplyExcludeType) {
	t.Helper()
	_, err := s.Temporal.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: s.Config.Temporal.Namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: workflows.RunWorkflowID(x.ID, id)},
		Reason: "of the test", WorkflowTaskFinishEventId: event, RequestId: uuid.NewString(), ResetReapplyExcludeTypes: exclude,
	})
	must(t, err)
}

// closed waits until the latest execution of the run's workflow is closed and gives its status.
func closed(t testing.TB, s *harness.System, x *harness.Tenant, id uuid.UUID) enums.WorkflowExecutionStatus {
	t.Helper()
	var status enums.WorkflowExecutionStatus
	harness.Eventually(t, within, "the workflow is closed", func() bool {
		d, err := s.Temporal.DescribeWorkflowExecution(t.Context(), workflows.RunWorkflowID(x.ID, id), "")
		must(t, err)
		status = d.GetWorkflowExecutionInfo().GetStatus()
		return status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	})
	return status
}

// strange is a worker of another version of the program: agentRun and what it registers are its own. The
// process beside it has no worker.
func strange(t testing.TB, s *harness.System, agentRun any, acts ...any) worker.Worker {
	t.Helper()
	plugin, err := workflows.Plugin()
	must(t, err)
	c, err := client.Dial(client.Options{
		HostPort: s.Config.Temporal.Address, Namespace: s.Config.Temporal.Namespace, Plugins: []client.Plugin{plugin},
		Logger: telemetry.TemporalLogger(slog.New(slog.DiscardHandler)),
	})
	must(t, err)
	t.Cleanup(c.Close)
	w := worker.New(c, workflows.RunQueue, worker.Options{WorkerStopTimeout: 0})
	w.RegisterWorkflowWithOptions(agentRun, workflow.RegisterOptions{Name: workflows.AgentRunName})
	for _, a := range acts {
		w.RegisterActivity(a)
	}
	must(t, w.Start())
	return w
}

// recording gives the activities that record a run's start and end, on the parts of a process.
func recording(p *harness.Process) *activities.Activities {
	return &activities.Activities{Runs: p.App.Runs, Log: p.App.Log, Agents: p.App.Agents, Logger: slog.New(slog.DiscardHandler)}
}

// mute is an announcer of a process that dies before it announces.
type mute struct{}

func (mute) Announce(context.Context, runs.Run, []event.Event) error { return errDeaf }

func (mute) Wants(runs.Run, event.Event) bool { return true }

// ignoreMissing passes over a workflow that has closed already.
func ignoreMissing(err error) error {
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return nil
	}
	return err
}

func ignoreStatus(_ harness.Answer, err error) error { return err }
