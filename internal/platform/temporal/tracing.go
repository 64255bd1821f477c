package temporal

import (
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/internal/platform/tracing"
)

// headerKey and the form of its value (a JSON map with traceparent and tracestate) are those of Temporal's
// own OpenTelemetry interceptors, in every language.
const headerKey = "_tracer-data"

// Attributes of what Temporal executes.
const (
	workflowID = attribute.Key("temporal.workflow.id")
	executedID = attribute.Key("temporal.run.id")
	attempt    = attribute.Key("temporal.activity.attempt")
)

// Tracing carries traces through Temporal: from the start of a workflow (a span) to the workflow (one) and
// its activities (one for each attempt). It travels in headers alone and asks for no command, so histories
// replay with and without it.
//
// The span of a workflow is made when the workflow ends, by whoever sees that; its identity is foreseen from
// the execution's id, so that activities can name it long before, on any worker. Temporal's own interceptor
// makes that span anew with another id whenever a worker loads the workflow, and ends it whenever one lets
// go of it: docs/adr/0020-traces.md.
type Tracing struct {
	interceptor.InterceptorBase
	tracer *tracing.Tracer
	quiet  []string
}

// NewTracing makes the interceptor. Workflows of the quiet types begin no traces; in one that was begun they
// take part.
func NewTracing(t *tracing.Tracer, quiet ...string) *Tracing {
	return &Tracing{tracer: t, quiet: quiet}
}

// InterceptClient is part of interceptor.Interceptor.
func (t *Tracing) InterceptClient(next interceptor.ClientOutboundInterceptor) interceptor.ClientOutboundInterceptor {
	return &tracingClient{interceptor.ClientOutboundInterceptorBase{Next: next}, t}
}

// InterceptActivity is part of interceptor.Interceptor.
func (t *Tracing) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &tracingActivity{interceptor.ActivityInboundInterceptorBase{Next: next}, t}
}

// InterceptWorkflow is part of interceptor.Interceptor.
func (t *Tracing) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &tracingWorkflow{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, root: t}
}

type tracingClient struct {
	interceptor.ClientOutboundInterceptorBase
	root *Tracing
}

// ExecuteWorkflow begins a workflow within the trace of the context, or a trace with it.
func (c *tracingClient) ExecuteWorkflow(ctx context.Context, in *interceptor.ClientExecuteWorkflowInput) (client.WorkflowRun, error) {
	ctx, span := c.root.tracer.Start(ctx, "start "+in.WorkflowType, trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(workflowID.String(in.Options.ID)))
	if carried := encode(span.SpanContext(), tracing.Labels(ctx)); carried != nil { //nolint:contextcheck // OpenTelemetry reads and writes headers through contexts of their own
		interceptor.Header(ctx)[headerKey] = carried
	}
	run, err := c.Next.ExecuteWorkflow(ctx, in)
	tracing.End(span, outcome(err))
	return run, err
}

type tracingActivity struct {
	interceptor.ActivityInboundInterceptorBase
	root *Tracing
}

// ExecuteActivity makes one attempt a span, if the workflow is in a trace.
func (a *tracingActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (result any, err error) {
	parent, labels := decode(interceptor.Header(ctx)[headerKey]) //nolint:contextcheck // as above
	if !parent.IsValid() {
		return a.Next.ExecuteActivity(ctx, in)
	}
	info := activity.GetInfo(ctx)
	ctx = tracing.Label(trace.ContextWithRemoteSpanContext(ctx, parent), labels...)
	ctx, span := a.root.tracer.Start(ctx, info.ActivityType.Name, trace.WithAttributes(
		workflowID.String(info.WorkflowExecution.ID), executedID.String(info.WorkflowExecution.RunID), attempt.Int(int(info.Attempt))))
	how := tracing.Outcome{Error: "panic"}
	defer func() { tracing.End(span, how) }()
	result, err = a.Next.ExecuteActivity(ctx, in)
	how = outcome(err)
	return result, err
}

type tracingWorkflow struct {
	interceptor.WorkflowInboundInterceptorBase
	root *Tracing
	own  *commonpb.Payload // names the workflow's span; nil: there is no trace
	next *commonpb.Payload // for the execution that this one continues as
}

// Init is part of interceptor.WorkflowInboundInterceptor.
func (w *tracingWorkflow) Init(out interceptor.WorkflowOutboundInterceptor) error {
	return w.Next.Init(&tracingOutbound{interceptor.WorkflowOutboundInterceptorBase{Next: out}, w})
}

// ExecuteWorkflow makes the workflow's span once the workflow has ended. Nothing is deferred: a worker that
// drops a workflow from its cache runs deferred functions.
func (w *tracingWorkflow) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	info, header := workflow.GetInfo(ctx), interceptor.WorkflowHeader(ctx)
	parent, labels := decode(header[headerKey])
	name, key := info.WorkflowType.Name, info.WorkflowExecution.RunID
	if !parent.IsValid() && slices.Contains(w.root.quiet, name) {
		return w.Next.ExecuteWorkflow(ctx, in)
	}
	const kind = trace.SpanKindConsumer
	w.own = encode(w.root.tracer.Foresee(parent, key, name, kind), labels)
	if w.next = header[headerKey]; !parent.IsValid() {
		w.next = w.own
	}
	result, err := w.Next.ExecuteWorkflow(ctx, in)
	if !workflow.IsReplaying(ctx) {
		attrs := append(labels, workflowID.String(info.WorkflowExecution.ID), executedID.String(info.WorkflowExecution.RunID))
		w.root.tracer.Emit(parent, key, name, kind, info.WorkflowStartTime, workflow.Now(ctx), outcome(err), attrs...)
	}
	return result, err
}

type tracingOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	in *tracingWorkflow
}

func (o *tracingOutbound) tell(ctx workflow.Context, carried *commonpb.Payload) {
	if carried != nil {
		interceptor.WorkflowHeader(ctx)[headerKey] = carried
	}
}

// ExecuteActivity names the workflow's span to the activity.
func (o *tracingOutbound) ExecuteActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	o.tell(ctx, o.in.own)
	return o.Next.ExecuteActivity(ctx, activityType, args...)
}

// ExecuteLocalActivity names the workflow's span to the activity.
func (o *tracingOutbound) ExecuteLocalActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	o.tell(ctx, o.in.own)
	return o.Next.ExecuteLocalActivity(ctx, activityType, args...)
}

// ExecuteChildWorkflow names the workflow's span to the child.
func (o *tracingOutbound) ExecuteChildWorkflow(ctx workflow.Context, childType string, args ...any) workflow.ChildWorkflowFuture {
	o.tell(ctx, o.in.own)
	return o.Next.ExecuteChildWorkflow(ctx, childType, args...)
}

// NewContinueAsNewError hands the trace on: all executions of a workflow stand beside each other in it.
func (o *tracingOutbound) NewContinueAsNewError(ctx workflow.Context, wfn any, args ...any) error {
	o.tell(ctx, o.in.next)
	return o.Next.NewContinueAsNewError(ctx, wfn, args...)
}

// encode gives a span and the labels of its trace in the form that travels; nil when there is no span.
func encode(span trace.SpanContext, labels []attribute.KeyValue) *commonpb.Payload {
	if !span.IsValid() {
		return nil
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), span), carrier)
	for _, l := range labels {
		carrier[string(l.Key)] = l.Value.AsString()
	}
	payload, err := converter.GetDefaultDataConverter().ToPayload(map[string]string(carrier))
	if err != nil { // a map of texts can always be encoded
		return nil
	}
	return payload
}

// decode is encode backwards. What cannot be read is no trace: it must not stop a workflow.
func decode(payload *commonpb.Payload) (trace.SpanContext, []attribute.KeyValue) {
	var carrier map[string]string
	if payload == nil || converter.GetDefaultDataConverter().FromPayload(payload, &carrier) != nil {
		return trace.SpanContext{}, nil
	}
	span := tracing.Extract(carrier[tracing.Parent], carrier[tracing.State])
	var labels []attribute.KeyValue
	for _, key := range []attribute.Key{tracing.TenantID, tracing.WorkspaceID, tracing.RunID, tracing.AgentID, tracing.RequestID} {
		if value, ok := carrier[string(key)]; ok {
			labels = append(labels, key.String(value))
		}
	}
	return span, labels
}

// outcome tells the class of an error; its text may quote a user or a model.
func outcome(err error) tracing.Outcome {
	var (
		application *temporal.ApplicationError
		again       *workflow.ContinueAsNewError
		timeout     *temporal.TimeoutError
	)
	switch {
	case err == nil, errors.As(err, &again):
		return tracing.Outcome{}
	case temporal.IsCanceledError(err), errors.Is(err, context.Canceled):
		return tracing.Outcome{Error: "cancelled", Expected: true}
	case temporal.IsWorkflowExecutionAlreadyStartedError(err):
		return tracing.Outcome{Error: "already_started", Expected: true}
	case errors.As(err, &application) && application.Type() != "":
		return tracing.Outcome{Error: application.Type(), Expected: application.Category() == temporal.ApplicationErrorCategoryBenign}
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return tracing.Outcome{Error: "timeout"}
	}
	return tracing.Outcome{Error: "_OTHER"}
}
