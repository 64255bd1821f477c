// Package engine is Temporal behind the ports of the domains: it starts, cancels and signals the
// workflows of runs, starts deliveries, and shows what Temporal itself knows of a run.
package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/platform/fault"
	temporalplatform "github.com/larirun/lari/internal/platform/temporal"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/workflows"
)

// Engine speaks to Temporal.
type Engine struct {
	client    client.Client
	namespace string
	uiURL     string
	// eager asks for the first workflow task in the answer to the start. It works only where a worker made
	// from the same client runs in this process.
	eager    bool
	stepsPer int // steps of one workflow execution; zero: as many as Temporal suggests
	traced   bool
	prepared atomic.Bool
}

var (
	_ runs.Engine          = (*Engine)(nil)
	_ connectors.Deliverer = (*Engine)(nil)
)

// Options of an Engine.
type Options struct {
	Client    client.Client
	Namespace string
	UIURL     string // "" when no Temporal UI is known
	Eager     bool   // a worker made from the same client runs in this process
	// StepsPerExecution is after how many steps a run continues as new; zero: when Temporal suggests it.
	StepsPerExecution int
	Traced            bool // the client's interceptor makes spans
}

// New makes an engine.
func New(o Options) *Engine {
	return &Engine{client: o.Client, namespace: o.Namespace, uiURL: o.UIURL, eager: o.Eager, stepsPer: o.StepsPerExecution, traced: o.Traced}
}

// Prepare registers what Temporal must know before the first start: the search attributes. Until it has
// succeeded once in this process, runs are refused with fault.Unavailable.
func (e *Engine) Prepare(ctx context.Context) error {
	if err := e.Check(ctx); err != nil {
		return err
	}
	err := temporalplatform.EnsureKeywords(ctx, e.client, e.namespace, workflows.TenantID.GetName(), workflows.AgentID.GetName(),
		workflows.RunStatus.GetName(), workflows.TriggerKind.GetName())
	if err != nil {
		return err
	}
	e.prepared.Store(true)
	return nil
}

// Ready reports whether Temporal answers and is prepared.
func (e *Engine) Ready(ctx context.Context) error {
	if !e.prepared.Load() {
		return fault.New(fault.Unavailable, "Temporal is being prepared.").After(retryUnavailable)
	}
	return e.Check(ctx)
}

// callLimit bounds one call to Temporal. It is shorter than the age at which the dispatcher looks after a
// run, so that the two do not start it at the same time.
const callLimit = 5 * time.Second

// limited bounds a call. The SDK gives a request half of what its context has left and does not repeat one
// that took so long; the deadline that it sees is therefore twice as far away as the end.
func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return limitedTo(ctx, callLimit)
}

func limitedTo(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithTimeout(ctx, 2*limit)
	end := time.AfterFunc(limit, stop)
	return ctx, func() {
		end.Stop()
		stop()
	}
}

// StartRun begins the run's workflow. The id is the run's: a second start while that workflow is open is
// none. A closed one is followed by another: the run was taken back while the answer to its first start
// was lost, its workflow found nothing, and now the caller tries again. It cannot execute a run twice:
// whose start or end is on record does not begin again.
func (e *Engine) StartRun(ctx context.Context, r runs.Run) error {
	if !e.prepared.Load() {
		return fault.New(fault.Unavailable, "Temporal cannot be reached, or is being prepared.").After(retryUnavailable)
	}
	ctx, stop := limited(ctx)
	defer stop()
	start := workflows.StartOf(r, e.stepsPer)
	if e.traced {
		ctx = traced(ctx, r)
	}
	_, err := e.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       start.ID,
		TaskQueue:                                start.TaskQueue,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		EnableEagerStart:                         e.eager,
		WorkflowExecutionTimeout:                 start.Timeout,
		Priority:                                 start.Priority,
		StaticSummary:                            start.Summary,
		TypedSearchAttributes:                    start.Attributes,
	}, workflows.AgentRunName, start.Input)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return nil
	}
	return translate(err)
}

// traced says in the request's span which run it began, and in all that follow whose it is. A run that is
// started on its own, because it was held or forgotten, begins a trace that points to the request's.
func traced(ctx context.Context, r runs.Run) context.Context {
	attrs := tracing.OfRun(r.TenantID, r.ID, r.AgentID, r.WorkspaceID)
	if r.RequestID != "" {
		attrs = append(attrs, tracing.RequestID.String(r.RequestID))
	}
	trace.SpanFromContext(ctx).SetAttributes(attrs...)
	return tracing.Label(tracing.Linked(ctx, r.TraceParent), attrs...)
}

// CancelRun asks the run's workflow to stop.
func (e *Engine) CancelRun(ctx context.Context, tenant, run uuid.UUID) error {
	ctx, stop := limited(ctx)
	defer stop()
	return ignoreEnded(e.client.CancelWorkflow(ctx, workflows.RunWorkflowID(tenant, run), ""))
}

// SignalApproval tells the run's workflow that an approval was resolved.
func (e *Engine) SignalApproval(ctx context.Context, tenant, run, approval uuid.UUID) error {
	ctx, stop := limited(ctx)
	defer stop()
	return ignoreEnded(e.client.SignalWorkflow(ctx, workflows.RunWorkflowID(tenant, run), "", workflows.ApprovalSignal,
		workflows.ApprovalResolved{ApprovalID: approval}))
}

// Deliver starts the workflow of a delivery; one that was started before is no error, and not begun again.
func (e *Engine) Deliver(ctx context.Context, d connectors.Delivery) error {
	ctx, stop := limited(ctx)
	defer stop()
	if e.traced {
		ctx = tracing.Label(ctx, tracing.TenantID.String(d.TenantID.String()), tracing.RunID.String(d.RunID.String()))
	}
	_, err := e.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       workflows.DeliveryWorkflowID(d),
		TaskQueue:                                workflows.ConnectorQueue,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		Priority:                                 temporal.Priority{FairnessKey: d.TenantID.String()},
		StaticSummary:                            fmt.Sprintf("run %s, event %d → %s", d.RunID, d.Seq, d.Connector),
		TypedSearchAttributes:                    temporal.NewSearchAttributes(workflows.TenantID.ValueSet(d.TenantID.String())),
	}, workflows.DeliverEventName, d)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return nil
	}
	return translate(err)
}

// Check reports whether Temporal answers.
func (e *Engine) Check(ctx context.Context) error {
	_, err := e.client.CheckHealth(ctx, &client.CheckHealthRequest{})
	return translate(err)
}

func ignoreEnded(err error) error {
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return nil
	}
	return translate(err)
}

// retryUnavailable is how long a caller should wait when Temporal cannot be reached.
const retryUnavailable = 2 * time.Second

// translate gives the failures of a server that is away the code unavailable; it is the one place that
// knows Temporal's errors.
func translate(err error) error {
	if err == nil {
		return nil
	}
	var (
		unavailable *serviceerror.Unavailable
		deadline    *serviceerror.DeadlineExceeded
		canceled    *serviceerror.Canceled
		exhausted   *serviceerror.ResourceExhausted
		namespace   *serviceerror.NamespaceNotFound
		invalid     *serviceerror.InvalidArgument
	)
	switch {
	case errors.As(err, &unavailable), errors.As(err, &deadline), errors.As(err, &exhausted), errors.As(err, &canceled),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fault.Wrap(err, fault.Unavailable, "Temporal cannot be reached.").After(retryUnavailable)
	case errors.As(err, &namespace):
		return fault.Wrap(err, fault.Unavailable, "Temporal does not know the namespace.").After(retryUnavailable)
	case errors.As(err, &invalid):
		return fault.Wrap(err, fault.Internal, "Temporal refuses the request.")
	}
	return fmt.Errorf("temporal: %w", err)
}
