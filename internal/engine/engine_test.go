package engine_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/engine"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
	"github.com/larirun/lari/workflows"
)

// newEngine gives a prepared engine in a namespace of its own on a real server. No worker polls: what is
// started stays as it is.
func newEngine(t *testing.T) (*engine.Engine, *harness.System) {
	t.Helper()
	s := harness.NewSystem(t)
	e := engine.New(engine.Options{Client: s.Temporal, Namespace: s.Config.Temporal.Namespace, UIURL: "http://ui.test/", StepsPerExecution: 7})
	harness.Eventually(t, 20*time.Second, "Temporal is prepared", func() bool { return e.Prepare(t.Context()) == nil })
	return e, s
}

func newRun() runs.Run {
	tokens := int64(500)
	return runs.Run{
		ID: uuid.Must(uuid.NewV7()), TenantID: uuid.Must(uuid.NewV7()), AgentID: uuid.Must(uuid.NewV7()), AgentVersion: 3,
		Limits: runs.Limits{MaxSteps: 9, Timeout: time.Minute, ApprovalTTL: time.Hour, MaxTokens: &tokens},
	}
}

// start starts the run; the search attributes of a new namespace take a moment to be known everywhere.
func start(t *testing.T, e *engine.Engine, r runs.Run) {
	t.Helper()
	var err error
	harness.Eventually(t, 20*time.Second, "the run is started", func() bool {
		err = e.StartRun(t.Context(), r)
		return err == nil
	})
}

func execution(t *testing.T, s *harness.System, id string) (executionID string, status enumspb.WorkflowExecutionStatus) {
	t.Helper()
	d, err := s.Temporal.DescribeWorkflowExecution(t.Context(), id, "")
	if err != nil {
		t.Fatal(err)
	}
	return d.GetWorkflowExecutionInfo().GetExecution().GetRunId(), d.GetWorkflowExecutionInfo().GetStatus()
}

// history gives the events of a type in the latest execution.
func history(t *testing.T, s *harness.System, id string, typ enumspb.EventType) []*historypb.HistoryEvent {
	t.Helper()
	var found []*historypb.HistoryEvent
	for i := s.Temporal.GetWorkflowHistory(t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); i.HasNext(); {
		event, err := i.Next()
		if err != nil {
			t.Fatal(err)
		}
		if event.GetEventType() == typ {
			found = append(found, event)
		}
	}
	return found
}

func TestNothingIsStartedBeforeTemporalIsPrepared(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	e := engine.New(engine.Options{Client: s.Temporal, Namespace: s.Config.Temporal.Namespace})
	if err := e.StartRun(t.Context(), newRun()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("StartRun: %v", err)
	}
	if err := e.Ready(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Ready: %v", err)
	}
	if err := e.Check(t.Context()); err != nil {
		t.Errorf("Check: %v: the server is there", err)
	}
	for range 2 { // each process does it at its start
		if err := e.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Ready(t.Context()); err != nil {
		t.Errorf("Ready, prepared: %v", err)
	}
}

func TestStartHandsTheWorkflowWhatItNeeds(t *testing.T) {
	t.Parallel()
	e, s := newEngine(t)
	r := newRun()
	start(t, e, r)
	id := workflows.RunWorkflowID(r.TenantID, r.ID)
	began := history(t, s, id, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)[0].GetWorkflowExecutionStartedEventAttributes()
	var in workflows.RunInput
	if err := converter.GetDefaultDataConverter().FromPayloads(began.GetInput(), &in); err != nil {
		t.Fatal(err)
	}
	if in.TenantID != r.TenantID || in.RunID != r.ID || in.MaxSteps != 9 || in.Timeout != time.Minute || in.ApprovalTTL != time.Hour ||
		*in.MaxTokens != 500 || in.MaxCostUSD != nil || in.StepsPerExecution != 7 || in.HooksVersion != workflows.HooksVersion {
		t.Errorf("the workflow is told %+v", in)
	}
	if began.GetWorkflowType().GetName() != workflows.AgentRunName || began.GetTaskQueue().GetName() != workflows.RunQueue ||
		began.GetPriority().GetFairnessKey() != r.TenantID.String() {
		t.Errorf("started as %v on %v with priority %v", began.GetWorkflowType(), began.GetTaskQueue(), began.GetPriority())
	}
	attributes := began.GetSearchAttributes().GetIndexedFields()
	for name, want := range map[string]string{"TenantId": r.TenantID.String(), "AgentId": r.AgentID.String(), "RunStatus": "running", "TriggerKind": "api"} {
		var got string
		if err := converter.GetDefaultDataConverter().FromPayload(attributes[name], &got); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", name, got, err, want)
		}
	}
}

func TestASecondStartIsNone(t *testing.T) {
	t.Parallel()
	e, s := newEngine(t)
	r := newRun()
	id := workflows.RunWorkflowID(r.TenantID, r.ID)
	start(t, e, r)
	first, _ := execution(t, s, id)
	if err := e.StartRun(t.Context(), r); err != nil {
		t.Errorf("a second start: %v", err)
	}
	if again, _ := execution(t, s, id); again != first {
		t.Errorf("the second start began execution %s beside %s", again, first)
	}
	// Its workflow has ended without beginning the run: the caller tries again.
	if err := s.Temporal.TerminateWorkflow(t.Context(), id, "", "test"); err != nil {
		t.Fatal(err)
	}
	if err := e.StartRun(t.Context(), r); err != nil {
		t.Errorf("a start after the end: %v", err)
	}
	if again, status := execution(t, s, id); again == first || status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		t.Errorf("execution %s is %s", again, status)
	}
}

func TestCancelAndApprovalReachTheWorkflow(t *testing.T) {
	t.Parallel()
	e, s := newEngine(t)
	r, approval := newRun(), uuid.Must(uuid.NewV7())
	id := workflows.RunWorkflowID(r.TenantID, r.ID)
	start(t, e, r)
	if err := e.SignalApproval(t.Context(), r.TenantID, r.ID, approval); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the dispatcher repeats a cancel that was not heard
		if err := e.CancelRun(t.Context(), r.TenantID, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	signals := history(t, s, id, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
	if len(signals) != 1 {
		t.Fatalf("%d signals", len(signals))
	}
	signal := signals[0].GetWorkflowExecutionSignaledEventAttributes()
	var told workflows.ApprovalResolved
	if err := converter.GetDefaultDataConverter().FromPayloads(signal.GetInput(), &told); err != nil || told.ApprovalID != approval ||
		signal.GetSignalName() != workflows.ApprovalSignal {
		t.Errorf("signal %s told %+v (%v)", signal.GetSignalName(), told, err)
	}
	if n := len(history(t, s, id, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED)); n != 1 {
		t.Errorf("%d requests to cancel", n)
	}
}

// A run whose workflow is not there, or has ended, is beyond cancel and signal: that is no failure.
func TestWhatIsGoneIsNotTold(t *testing.T) {
	t.Parallel()
	e, s := newEngine(t)
	ended := newRun()
	start(t, e, ended)
	if err := s.Temporal.TerminateWorkflow(t.Context(), workflows.RunWorkflowID(ended.TenantID, ended.ID), "", "test"); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]runs.Run{"missing": newRun(), "ended": ended} {
		if err := e.CancelRun(t.Context(), r.TenantID, r.ID); err != nil {
			t.Errorf("cancel of a run that is %s: %v", name, err)
		}
		if err := e.SignalApproval(t.Context(), r.TenantID, r.ID, uuid.New()); err != nil {
			t.Errorf("signal to a run that is %s: %v", name, err)
		}
	}
	missing := newRun()
	if _, err := e.FindExecution(t.Context(), missing.TenantID, missing.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("FindExecution of a missing run: %v", err)
	}
}

func TestADeliveryIsStartedOnce(t *testing.T) {
	t.Parallel()
	e, s := newEngine(t)
	d := connectors.Delivery{TenantID: uuid.New(), RunID: uuid.New(), Seq: 4, Connector: "webhook"}
	id := workflows.DeliveryWorkflowID(d)
	harness.Eventually(t, 20*time.Second, "the delivery is started", func() bool { return e.Deliver(t.Context(), d) == nil })
	first, _ := execution(t, s, id)
	if err := e.Deliver(t.Context(), d); err != nil {
		t.Errorf("handed over twice: %v", err)
	}
	if err := s.Temporal.TerminateWorkflow(t.Context(), id, "", "test"); err != nil {
		t.Fatal(err)
	}
	if err := e.Deliver(t.Context(), d); err != nil {
		t.Errorf("handed over after its end: %v", err)
	}
	if again, _ := execution(t, s, id); again != first {
		t.Error("a delivery that has ended was begun again")
	}
	once := d
	once.Round = 2
	if err := e.Deliver(t.Context(), once); err != nil {
		t.Errorf("handed over once more: %v", err)
	}
	if again, _ := execution(t, s, workflows.DeliveryWorkflowID(once)); again == first {
		t.Error("a delivery that is to be made once more was not begun")
	}
	began := history(t, s, id, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)[0].GetWorkflowExecutionStartedEventAttributes()
	if began.GetTaskQueue().GetName() != workflows.ConnectorQueue || began.GetPriority().GetFairnessKey() != d.TenantID.String() {
		t.Errorf("on queue %s with priority %v", began.GetTaskQueue().GetName(), began.GetPriority())
	}
}

func TestFindExecution(t *testing.T) {
	t.Parallel()
	e, s := newEngine(t)
	r := newRun()
	start(t, e, r)
	x, err := e.FindExecution(t.Context(), r.TenantID, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	id := workflows.RunWorkflowID(r.TenantID, r.ID)
	execID, _ := execution(t, s, id)
	if x.RunID != r.ID || x.WorkflowID != id || x.ExecutionID != execID || x.Status != "Running" || x.TaskQueue != workflows.RunQueue ||
		x.StartedAt == nil || x.ClosedAt != nil || x.HistoryEvents < 2 || x.PendingActivities == nil {
		t.Errorf("found %+v", x)
	}
	want := "http://ui.test/namespaces/" + s.Config.Temporal.Namespace + "/workflows/" + r.TenantID.String() + "%2Frun%2F" + r.ID.String() + "/" + execID
	if x.UIURL != want {
		t.Errorf("its UI is %s, want %s", x.UIURL, want)
	}
}

func TestFindExecutionsIsOfOneTenantAndByPages(t *testing.T) {
	t.Parallel()
	e, _ := newEngine(t)
	mine := uuid.Must(uuid.NewV7())
	want := map[uuid.UUID]bool{}
	for range 3 {
		r := newRun()
		r.TenantID = mine
		start(t, e, r)
		want[r.ID] = true
	}
	start(t, e, newRun()) // another tenant's
	harness.Eventually(t, 20*time.Second, "the visibility store knows the runs", func() bool {
		all, _, err := e.FindExecutions(t.Context(), mine, 50, "")
		return err == nil && len(all) == len(want)
	})
	found, cursor := map[uuid.UUID]bool{}, ""
	for range 4 {
		page, next, err := e.FindExecutions(t.Context(), mine, 2, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range page {
			if !want[x.RunID] || found[x.RunID] {
				t.Errorf("%s is not ours, or came twice", x.RunID)
			}
			found[x.RunID] = true
		}
		if cursor = next; next == "" {
			break
		}
	}
	if len(found) != len(want) {
		t.Errorf("found %d of %d", len(found), len(want))
	}
	_, cursor, err := e.FindExecutions(t.Context(), mine, 2, "")
	if err != nil || cursor == "" {
		t.Fatalf("the first page ends with %q, %v", cursor, err)
	}
	for _, wrong := range []string{"not base64!", "bm90IGEgdG9rZW4", cursor[:len(cursor)-4], "AAAA", "A"} {
		if _, _, err := e.FindExecutions(t.Context(), mine, 2, wrong); !fault.Is(err, fault.Malformed) {
			t.Errorf("the cursor %q: %v", wrong, err)
		}
	}
	if _, _, err := e.FindExecutions(t.Context(), uuid.New(), 2, cursor); !fault.Is(err, fault.Malformed) {
		t.Errorf("another tenant's cursor: %v", err)
	}
}

func TestAServerThatIsAway(t *testing.T) {
	t.Parallel()
	c, err := client.NewLazyClient(client.Options{HostPort: "127.0.0.1:1", Logger: telemetry.TemporalLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	e := engine.New(engine.Options{Client: c, Namespace: "default"})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	r := newRun()
	for name, call := range map[string]func() error{
		"Prepare":        func() error { return e.Prepare(ctx) },
		"CancelRun":      func() error { return e.CancelRun(ctx, r.TenantID, r.ID) },
		"SignalApproval": func() error { return e.SignalApproval(ctx, r.TenantID, r.ID, uuid.New()) },
		"Deliver": func() error {
			return e.Deliver(ctx, connectors.Delivery{TenantID: r.TenantID, RunID: r.ID, Connector: "webhook"})
		},
		"FindExecution": func() error {
			_, err := e.FindExecution(ctx, r.TenantID, r.ID)
			return err
		},
		"FindExecutions": func() error {
			_, _, err := e.FindExecutions(ctx, r.TenantID, 5, "")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := pace.Start(t)
			if err := call(); !fault.Is(err, fault.Unavailable) {
				t.Errorf("%v", err)
			}
			if took := began.Took(); took > 15*time.Second {
				t.Errorf("took %s: a caller waits", took)
			}
		})
	}
}
