package workflows

import (
	"errors"
	"slices"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
)

// HooksVersion is the version of the interceptor's commands that new runs get.
const HooksVersion = 1

// Subject is implemented by the input of every workflow whose lifecycle is raised. The argument's type
// decides: it is recorded in history, so a replay decides the same.
type Subject interface {
	LifecycleSubject() activities.RunRef
}

// lifecycle is the one place where a run's start and end are raised: each is a local activity that
// records state and event in one transaction and then tells the connectors. A workflow's author
// cannot forget it. Progress is raised by the records of steps and tool calls themselves.
//
// No hook is deferred: a worker that drops a workflow from its cache runs deferred functions, and the
// run has not ended then. Nothing is recovered: a panic must stay visible to the SDK.
type lifecycle struct {
	interceptor.WorkerInterceptorBase
}

// InterceptWorkflow wraps every workflow of the worker.
func (*lifecycle) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &lifecycleInbound{interceptor.WorkflowInboundInterceptorBase{Next: next}}
}

type lifecycleInbound struct {
	interceptor.WorkflowInboundInterceptorBase
}

// ExecuteWorkflow raises the start, runs the body and raises the end.
func (l *lifecycleInbound) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	subject, ok := subjectOf(in.Args)
	if !ok {
		return l.Next.ExecuteWorkflow(ctx, in)
	}
	info := workflow.GetInfo(ctx)
	if info.ContinuedExecutionRunID == "" && info.Attempt <= 1 {
		if err := raiseStart(ctx, subject); err != nil {
			return nil, err
		}
	}
	result, err := l.Next.ExecuteWorkflow(ctx, in)
	if workflow.IsContinueAsNewError(err) {
		return result, err // the run goes on
	}
	if err := raiseEnd(ctx, subject, outcome(ctx, err)); err != nil {
		return nil, err
	}
	return result, err
}

func subjectOf(args []any) (activities.RunRef, bool) {
	if len(args) == 0 {
		return activities.RunRef{}, false
	}
	s, ok := args[0].(Subject)
	if !ok {
		return activities.RunRef{}, false
	}
	return s.LifecycleSubject(), true
}

func raiseStart(ctx workflow.Context, ref activities.RunRef) error {
	// Also a run that was cancelled before it began has a start: its record must not be cancelled.
	dctx, _ := workflow.NewDisconnectedContext(ctx)
	dctx = workflow.WithLocalActivityOptions(dctx, recordOptions("run_started"))
	var start activities.StartRecorded
	if err := workflow.ExecuteLocalActivity(dctx, steps.RecordStart, ref).Get(dctx, &start); err != nil {
		return err
	}
	if start.Ended {
		return temporal.NewCanceledError("the run ended before it began")
	}
	return nil
}

func raiseEnd(ctx workflow.Context, ref activities.RunRef, o runs.Outcome) error {
	dctx, _ := workflow.NewDisconnectedContext(ctx)
	dctx = workflow.WithLocalActivityOptions(dctx, recordOptions("run ends: "+string(o.Status)))
	var stands runs.Status
	if err := workflow.ExecuteLocalActivity(dctx, steps.RecordFinish, activities.Finish{RunRef: ref, Outcome: o}).Get(dctx, &stands); err != nil {
		return err
	}
	return workflow.UpsertTypedSearchAttributes(dctx, RunStatus.ValueSet(string(stands)))
}

// outcome says how a run ended, from what its body returned.
func outcome(ctx workflow.Context, err error) runs.Outcome {
	if err == nil {
		return runs.Outcome{Status: runs.Completed}
	}
	if temporal.IsCanceledError(err) && ctx.Err() != nil {
		return runs.Outcome{Status: runs.Cancelled}
	}
	var cause *temporal.ApplicationError
	if errors.As(err, &cause) && slices.Contains(event.ErrorCodes(), event.ErrorCode(cause.Type())) {
		code := event.ErrorCode(cause.Type())
		if code == event.ErrorTimeout {
			return runs.Outcome{Status: runs.TimedOut, Code: code, Message: cause.Message()}
		}
		return runs.Outcome{Status: runs.Failed, Code: code, Message: cause.Message()}
	}
	return runs.Outcome{Status: runs.Failed, Code: event.ErrorInternal, Message: "The run failed unexpectedly."}
}

// Plugin carries the interceptor. Clients, workers and replayers all need the same one, or histories do
// not replay: hand it to client.Options.Plugins (workers inherit it) and to the replayer's. Those of around
// stand before it, on all three.
func Plugin(around ...interceptor.ClientInterceptor) (interface {
	client.Plugin
	worker.Plugin
}, error,
) {
	return temporal.NewSimplePlugin(temporal.SimplePluginOptions{
		Name: "lari.lifecycle", ClientInterceptors: around, WorkerInterceptors: []interceptor.WorkerInterceptor{&lifecycle{}},
	})
}
