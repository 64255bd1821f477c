package workflows

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
)

// AgentRun executes an agent: think, act, and again, until it answers, meets a limit or is stopped. Its
// start and its end are recorded by the lifecycle interceptor, around it.
func AgentRun(ctx workflow.Context, in RunInput) (RunResult, error) {
	r := agentRun{in: in, state: in.State, resolved: map[uuid.UUID]bool{}}
	r.setup(ctx)
	return r.run(ctx)
}

type agentRun struct {
	in       RunInput
	state    State
	taken    int                // steps of this execution
	resolved map[uuid.UUID]bool // approvals that somebody answered
	asking   int                // approvals that are due
}

// stopGroup names the change since which the first call of a step that fails stops the others.
const stopGroup = "the first failure stops the group"

// steps refers to the activities by name; it is never called through.
var steps *activities.Activities

func (r *agentRun) setup(ctx workflow.Context) {
	if r.state.Deadline.IsZero() {
		r.state.Deadline = workflow.Now(ctx).Add(r.in.Timeout)
	}
	answers := workflow.GetSignalChannel(ctx, ApprovalSignal)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var answer ApprovalResolved
			if !answers.Receive(ctx, &answer) {
				return
			}
			r.resolved[answer.ApprovalID] = true
		}
	})
}

func (r *agentRun) run(ctx workflow.Context) (RunResult, error) {
	for {
		if err := r.withinBudget(ctx); err != nil {
			return r.result(runs.Failed), err
		}
		turn, err := r.think(ctx)
		if err != nil {
			return r.result(runs.Failed), err
		}
		if turn.Failure != nil { // absent in histories of earlier versions, whose steps could not end a run so
			return r.result(runs.Failed), failed(turn.Failure.Code, "%s", turn.Failure.Message)
		}
		if turn.Held != "" {
			if err := r.waitForQuota(ctx, turn.Held); err != nil {
				return r.result(runs.Failed), err
			}
		} else if len(turn.ToolCalls) == 0 && !turn.More {
			return r.result(runs.Completed), nil
		}
		if err := r.act(ctx, turn.ToolCalls); err != nil {
			return r.result(runs.Failed), err
		}
		if r.historyIsLong(ctx) {
			next := r.in
			next.State = r.state
			return RunResult{}, workflow.NewContinueAsNewError(ctx, AgentRunName, next)
		}
	}
}

func (r *agentRun) result(s runs.Status) RunResult {
	return RunResult{Status: s, Steps: r.state.Step, Usage: r.state.Usage}
}

// think takes the next step: one turn of the model.
func (r *agentRun) think(ctx workflow.Context) (activities.ModelTurn, error) {
	r.state.Step++
	r.taken++
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**Step %d**: thinking", r.state.Step))
	info := workflow.GetInfo(ctx)
	call := activities.ModelCall{
		RunRef: r.in.RunRef, Step: r.state.Step, Deadline: r.state.Deadline, Again: info.OriginalRunID != info.WorkflowExecution.RunID,
		Held: r.state.Held > 0,
	}
	if r.in.MaxTokens != nil {
		left := *r.in.MaxTokens - r.state.Usage.Tokens()
		call.TokensLeft = &left
	}
	ctx = workflow.WithActivityOptions(ctx, stepOptions(r.state.Deadline.Sub(workflow.Now(ctx)), fmt.Sprintf("step %d", r.state.Step)))
	var turn activities.ModelTurn
	if err := workflow.ExecuteActivity(ctx, steps.CallModel, call).Get(ctx, &turn); err != nil {
		return turn, r.failure(ctx, err, event.ErrorModel)
	}
	if turn.Held == "" && r.state.Held > 0 {
		r.state.Held = 0
		if err := workflow.UpsertTypedSearchAttributes(ctx, RunStatus.ValueSet(string(runs.Running))); err != nil {
			return turn, err
		}
	}
	r.state.Usage = r.state.Usage.Add(turn.Usage)
	return turn, nil
}

// act makes the tool calls of a step, side by side.
func (r *agentRun) act(ctx workflow.Context, calls []activities.CallRef) error {
	if len(calls) == 0 {
		return nil
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**Step %d**: %d tool calls", r.state.Step, len(calls)))
	began := workflow.Now(ctx)
	var waited time.Duration
	var failed error
	group, stop := workflow.WithCancel(ctx)
	fail := func(ctx workflow.Context, err error) {
		if failed != nil || err == nil {
			return
		}
		failed = err
		if len(calls) > 1 && ctx.Err() == nil && workflow.GetVersion(ctx, stopGroup, workflow.DefaultVersion, 1) != workflow.DefaultVersion {
			stop() // what ends the run ends its other calls, also those that wait for a human
		}
	}
	all := workflow.NewWaitGroup(ctx)
	for _, call := range calls {
		all.Add(1)
		workflow.Go(group, func(ctx workflow.Context) {
			defer all.Done()
			if call.NeedsApproval {
				approved, err := r.approve(ctx, call)
				waited = max(waited, workflow.Now(ctx).Sub(began))
				if err != nil || !approved {
					fail(ctx, err)
					return
				}
			}
			fail(ctx, r.callTool(ctx, call, waited))
		})
	}
	all.Wait(ctx)
	// Thinking and acting have a time limit; a human's answer has one of its own.
	r.state.Deadline = r.state.Deadline.Add(waited)
	return failed
}

func (r *agentRun) callTool(ctx workflow.Context, call activities.CallRef, waited time.Duration) error {
	deadline := r.state.Deadline.Add(waited)
	ctx = workflow.WithActivityOptions(ctx, stepOptions(deadline.Sub(workflow.Now(ctx)), call.Name))
	in := activities.ToolCall{RunRef: r.in.RunRef, ToolCallID: call.ID, Deadline: deadline}
	if err := workflow.ExecuteActivity(ctx, steps.CallTool, in).Get(ctx, nil); err != nil {
		return r.failure(ctx, err, event.ErrorTool)
	}
	return nil
}

// approve asks a human and waits for the answer, at most for the agent's approval time.
func (r *agentRun) approve(ctx workflow.Context, call activities.CallRef) (approved bool, err error) {
	ctx = workflow.WithLocalActivityOptions(ctx, recordOptions("approval of "+call.Name))
	var asked activities.Asked
	question := activities.Question{RunRef: r.in.RunRef, ToolCallID: call.ID, TTL: r.in.ApprovalTTL}
	if err := workflow.ExecuteLocalActivity(ctx, steps.AskApproval, question).Get(ctx, &asked); err != nil {
		return false, r.failure(ctx, err, event.ErrorInternal)
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**Step %d**: waiting for approval of `%s`", r.state.Step, call.Name))
	if r.asking++; r.asking == 1 {
		if err := workflow.UpsertTypedSearchAttributes(ctx, RunStatus.ValueSet(string(runs.Waiting))); err != nil {
			return false, err
		}
	}
	inTime := asked.Answered // of an execution that goes back by a reset: no signal comes again
	if !inTime {
		inTime, err = workflow.AwaitWithTimeout(ctx, asked.ExpiresAt.Time.Sub(workflow.Now(ctx)), func() bool { return r.resolved[asked.ApprovalID] })
		if err != nil {
			return false, err
		}
	}
	var decision runs.Decision
	apply := activities.Apply{RunRef: r.in.RunRef, ApprovalID: asked.ApprovalID, Expire: !inTime}
	if err := workflow.ExecuteLocalActivity(ctx, steps.ApplyApproval, apply).Get(ctx, &decision); err != nil {
		return false, r.failure(ctx, err, event.ErrorInternal)
	}
	if r.asking--; r.asking == 0 {
		err = workflow.UpsertTypedSearchAttributes(ctx, RunStatus.ValueSet(string(runs.Running)))
	}
	return decision == runs.Approved, err
}

func (r *agentRun) historyIsLong(ctx workflow.Context) bool {
	return r.in.StepsPerExecution > 0 && r.taken >= r.in.StepsPerExecution || workflow.GetInfo(ctx).GetContinueAsNewSuggested()
}
