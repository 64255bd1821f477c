package activities

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/storable"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/internal/runs"
)

// ToolTries is how often a tool that cannot be reached is tried before the model is told so.
const ToolTries = 3

// ToolCall names a tool call of a run.
type ToolCall struct {
	RunRef
	ToolCallID uuid.UUID `json:"tool_call_id"`
	Deadline   time.Time `json:"deadline"` // of the run
}

// CallTool runs a tool of the agent and records its result. A tool's failure is a result, for the model to
// deal with: it never fails the run. A tool that exists and is not the agent's is none for it: what the
// model was not offered it cannot reach, whatever it was talked into asking for. A call whose worker died is made again: tools must bear that.
func (a *Activities) CallTool(ctx context.Context, in ToolCall) error {
	ctx = in.scoped(ctx)
	ctx, stopHeartbeats := a.heartbeat(ctx, in.RunID)
	defer stopHeartbeats()
	ctx, stop := untilDeadline(ctx, in.Deadline)
	defer stop()
	r, call, err := a.Runs.BeginCall(ctx, in.RunID, in.ToolCallID)
	if err != nil || call.Status.Ended() {
		return interrupted(ctx, err)
	}
	ctx = traced(ctx, r)
	began := time.Now()
	result, err := a.call(ctx, r, call)
	status := runs.ToolCompleted
	if err != nil {
		if tryAgain(ctx, call, err) {
			return interrupted(ctx, err)
		}
		status, result = runs.ToolFailed, a.explain(ctx, call, err)
	}
	a.Observer.ToolCalled(ToolCallFacts{RunID: in.RunID, Tool: call.Name, Outcome: string(status), Took: time.Since(began), TraceID: tracing.Sampled(ctx)})
	a.Logger.DebugContext(ctx, "a tool was called", "step", call.Step, "tool", call.Name, "outcome", status, "took", time.Since(began))
	err = untilRecorded(ctx, func(ctx context.Context) error {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), settle)
		defer stop()
		return a.Runs.EndCall(ctx, in.RunID, in.ToolCallID, status, storable.Text(result))
	})
	if err != nil {
		return interrupted(ctx, err)
	}
	if stopped(ctx) {
		return stopError(ctx)
	}
	return nil
}

// tryAgain reports whether Temporal should try the call again: the tool could not be reached and tries
// are left, our own database is away, which is no failure of the tool, or this worker goes away.
func tryAgain(ctx context.Context, call runs.ToolCall, err error) bool {
	if ctx.Err() != nil {
		return !stopped(ctx)
	}
	if errors.Is(err, postgres.ErrUnreachable) {
		return true
	}
	return retryable[fault.CodeOf(err)] && fault.CodeOf(err) != fault.Internal && call.Tries < ToolTries
}

// explain tells the model what went wrong. A defect of ours is logged and not described.
func (a *Activities) explain(ctx context.Context, call runs.ToolCall, err error) string {
	if ctx.Err() != nil {
		return "The run was stopped while the tool was running."
	}
	var known *fault.Error
	if !errors.As(err, &known) || known.Code == fault.Internal {
		a.Logger.ErrorContext(ctx, "a tool failed", "run_id", call.RunID, "tool", call.Name, "error", err)
		return "The tool failed unexpectedly."
	}
	return known.Detail
}

func (a *Activities) call(ctx context.Context, r runs.Run, call runs.ToolCall) (string, error) {
	config, err := a.Agents.FindVersion(ctx, r.AgentID, r.AgentVersion)
	if err != nil {
		return "", err
	}
	if !config.Config.Offers(call.Name) {
		return "", fault.New(fault.NotFound, "there is no tool named %q; the tools are: %s", call.Name, strings.Join(config.Config.ToolNames(), ", "))
	}
	tool, err := a.Tools.Get(call.Name)
	if err != nil {
		return "", err
	}
	ctx, span := beginTool(ctx, call)
	result, err := tool.Call(ctx, json.RawMessage(call.Arguments))
	endTool(ctx, span, err)
	return result, err
}
