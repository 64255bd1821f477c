package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/storable"
	"github.com/larirun/lari/internal/platform/stream"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/internal/runs"
)

// ModelCall is one step of a run.
type ModelCall struct {
	RunRef
	Step       int       `json:"step"`
	Deadline   time.Time `json:"deadline"`              // of the run
	TokensLeft *int64    `json:"tokens_left,omitempty"` // of the run's budget; nil: no limit
	// Again is set in an execution that goes back to an earlier point of the run, by a reset: the step may
	// have been taken, or be under way in the execution that was left.
	Again bool `json:"again,omitempty"`
	// Held is set when a quota held the step back before.
	Held bool `json:"held,omitempty"`
}

// ModelTurn is what a step led to.
type ModelTurn struct {
	Usage     event.Usage `json:"usage"`
	ToolCalls []CallRef   `json:"tool_calls,omitempty"`
	More      bool        `json:"more,omitempty"` // not the end: a message came in meanwhile, or no call could be run
	// Failure ends the run: the answer was cut off by a limit of the run or its tenant, or there is none.
	Failure *runs.Failure `json:"failure,omitempty"`
	// Held names the quota that has no room for the step, which was not taken: it is to be tried again later.
	Held string `json:"held,omitempty"`
}

// CallRef names a tool call that the model asked for.
type CallRef struct {
	ID            uuid.UUID `json:"id"`
	Name          string    `json:"name"`
	NeedsApproval bool      `json:"needs_approval,omitempty"`
}

// CallModel takes one step: it shows the model the conversation, streams its text into the event log
// and records what it said. Done again after a crash it finds its record, or tells readers to discard
// the half-written text and asks again.
func (a *Activities) CallModel(ctx context.Context, in ModelCall) (ModelTurn, error) {
	ctx = in.scoped(ctx)
	ctx, stopHeartbeats := a.heartbeat(ctx, in.RunID)
	defer stopHeartbeats()
	ctx, stop := untilDeadline(ctx, in.Deadline)
	defer stop()
	attempt := int(activity.GetInfo(ctx).Attempt)
	if in.Again && attempt == 1 {
		letGo(ctx)
	}
	turn, err := a.Runs.BeginStep(ctx, in.RunID, in.Step, attempt, in.Again || in.Held)
	if err != nil {
		return ModelTurn{}, interrupted(ctx, err)
	}
	ctx = traced(ctx, turn.Run)
	config, err := a.Agents.FindVersion(ctx, turn.Run.AgentID, turn.Run.AgentVersion)
	if err == nil && turn.Recorded != nil {
		return modelTurn(*turn.Recorded, config.Config), nil
	}
	var p prompt
	if err == nil {
		p, err = a.prompt(ctx, turn, config.Config, in)
	}
	var held string
	if err == nil {
		held, err = a.admit(ctx, turn, &p, in)
	}
	if err != nil {
		return ModelTurn{}, interrupted(ctx, errors.Join(err, turn.Opening.Wait(ctx))) // the next attempt must see that this one began
	}
	if held != "" {
		return ModelTurn{Held: held}, nil
	}
	s := &streaming{
		activities: a, call: in, attempt: turn.Attempt, prompt: p, showsReasoning: config.Config.ShowReasoning, began: time.Now(), ticket: turn.Opening,
	}
	taken, err := s.run(ctx)
	if err != nil {
		return ModelTurn{}, err
	}
	return modelTurn(taken, config.Config), nil
}

// streaming is one model turn under way.
type streaming struct {
	activities *Activities
	call       ModelCall
	attempt    int
	prompt     prompt
	began      time.Time
	// showsReasoning puts what the model thinks into the run's log.
	showsReasoning bool

	text       strings.Builder
	reasoned   int // bytes of what the model thought, and that can be read
	calls      []llm.ToolCall
	done       *llm.Done
	ticket     *stream.Ticket // of the last event
	last       []event.Draft  // what is recorded with the step because no commit has taken it
	firstToken time.Duration
}

func (s *streaming) run(ctx context.Context) (runs.Taken, error) {
	a := s.activities
	if err := s.stream(ctx); err != nil {
		return runs.Taken{}, s.failed(ctx, err)
	}
	if err := s.withdraw(ctx); err != nil {
		return runs.Taken{}, s.failed(ctx, err)
	}
	step := s.step(s.done.Usage, string(s.done.Reason))
	for i, c := range s.calls {
		step.ToolCalls = append(step.ToolCalls, s.toolCall(i, c))
	}
	for i, c := range s.done.Unfinished {
		call := s.toolCall(len(s.calls)+i, c.ToolCall)
		call.Status, call.Result, call.FinishedAt = runs.ToolFailed, storable.Text(c.Why), &step.At
		step.ToolCalls = append(step.ToolCalls, call)
	}
	step.CutBy = s.cutBy()
	step.ProviderData = encodeProviderData(s.done, s.calls)
	var taken runs.Taken
	err := untilRecorded(ctx, func(ctx context.Context) (err error) {
		taken, err = a.Runs.RecordStep(ctx, step, s.last...)
		return err
	})
	if err != nil {
		return runs.Taken{}, s.failed(ctx, err)
	}
	cost, _ := step.Usage.CostUSD.Float64()
	a.Observer.ModelAnswered(ModelTurnFacts{
		TenantID: s.call.TenantID, RunID: s.call.RunID, Step: s.call.Step, Provider: s.prompt.provider.Name(), Model: s.prompt.request.Model,
		Usage: s.done.Usage, CostUSD: cost, FirstToken: s.firstToken, Took: time.Since(s.began), TraceID: tracing.Sampled(ctx),
	})
	a.Logger.DebugContext(ctx, "the model answered", "step", s.call.Step, "provider", s.prompt.provider.Name(), "model", s.prompt.request.Model,
		"input_tokens", s.done.Usage.InputTokens, "output_tokens", s.done.Usage.OutputTokens, "finish", s.done.Reason, "took", time.Since(s.began))
	return taken, nil
}

func (s *streaming) toolCall(position int, c llm.ToolCall) runs.ToolCall {
	return runs.ToolCall{
		ID: uuid.NewSHA1(s.call.RunID, fmt.Appendf(nil, "tool call %d.%d", s.call.Step, position)), RunID: s.call.RunID,
		Step: s.call.Step, Position: position, CallID: storable.Truncate(c.ID, maxCallID), Name: storable.Clip(c.Name, maxToolName),
		// As its escape a NUL is still there to be refused; replaced, the tool would be called with something else.
		Arguments: storable.Clip(strings.ReplaceAll(c.Arguments, "\x00", `\u0000`), maxArguments), Status: runs.ToolPending,
	}
}

// ownLimit is less than any model's own limit of output, in tokens.
const ownLimit = 1024

// cutBy returns what cut the answer off, if it was the limit that the request was sent with. A model whose own
// limit is lower stops earlier, at one of thousands of tokens.
func (s *streaming) cutBy() runs.CutBy {
	used := s.done.Usage
	isOwn := !used.Estimated && used.OutputTokens >= ownLimit && used.OutputTokens < int64(s.prompt.request.MaxTokens)*9/10
	if s.done.Reason != llm.FinishLength || isOwn {
		return runs.CutByNothing
	}
	return s.prompt.limitedBy
}

// stream hears the model out.
func (s *streaming) stream(ctx context.Context) (err error) {
	ctx, span := s.begin(ctx)
	defer func() { s.end(span, err) }()
	for chunk, err := range s.prompt.provider.Stream(ctx, s.prompt.request) {
		if err != nil {
			return err
		}
		if err := s.take(ctx, chunk); err != nil {
			return err
		}
	}
	if s.done == nil {
		return &llm.Error{
			Provider: s.prompt.provider.Name(), Class: llm.ClassOverloaded, Detail: "the stream ended before the turn did",
		}
	}
	return nil
}

func (s *streaming) take(ctx context.Context, chunk llm.Chunk) error {
	switch {
	case chunk.Text != "":
		if s.firstToken == 0 {
			s.firstToken = time.Since(s.began)
		}
		text := storable.Text(chunk.Text)
		s.text.WriteString(text)
		return s.log(ctx, event.MessageDelta, text)
	case chunk.Reasoning != "":
		markWorking(ctx)
		s.reasoned += len(chunk.Reasoning)
		if s.showsReasoning {
			return s.log(ctx, event.ReasoningDelta, storable.Text(chunk.Reasoning))
		}
	case chunk.Working:
		markWorking(ctx)
	case chunk.ToolCall != nil:
		s.calls = append(s.calls, *chunk.ToolCall)
	case chunk.Done != nil:
		s.done = chunk.Done
	}
	return nil
}

func (s *streaming) log(ctx context.Context, typ event.Type, text string) error {
	ticket, err := s.activities.Log.Add(ctx, s.call.RunID, event.Draft{Type: typ, Data: event.Delta{
		MessageID: runs.MessageID(s.call.RunID, s.call.Step), Step: s.call.Step, Attempt: s.attempt, Text: text,
	}})
	if err == nil {
		s.ticket = ticket
	}
	return err
}

// withdraw takes the last deltas out of the group commit, for the step's own transaction.
func (s *streaming) withdraw(ctx context.Context) error {
	drafts, err := s.activities.Log.Withdraw(ctx, s.call.RunID)
	s.last = append(s.last, drafts...)
	return err
}

func (s *streaming) step(u llm.Usage, finish string) runs.Step {
	u = bounded(u)
	cost, _ := s.activities.Prices.Cost(s.prompt.priced, u)
	return runs.Step{
		RunID: s.call.RunID, Number: s.call.Step, Content: s.text.String(), Finish: storable.Clip(finish, maxToolName), Model: s.prompt.priced,
		Usage: event.Usage{InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, CostUSD: cost, Estimated: u.Estimated},
		At:    clock.Now(),
	}
}

// Bounds of what is stored of a tool call, in bytes. A name that was cut names no tool and arguments that were cut are
// no JSON: the model is told so.
const (
	maxToolName  = 256
	maxCallID    = 64 << 10 // some providers pack a signature into the id
	maxArguments = 1 << 20
)

// maxStepTokens bounds what one step is billed for, in tokens: no model takes that much, and its cost must fit the
// column.
const maxStepTokens = 1_000_000_000

// bounded returns the usage within what a step can have used. What a provider claims beyond is not believed, and the
// usage counts as estimated.
func bounded(u llm.Usage) llm.Usage {
	in, out := max(0, min(u.InputTokens, maxStepTokens)), max(0, min(u.OutputTokens, maxStepTokens))
	return llm.Usage{InputTokens: in, OutputTokens: out, Estimated: u.Estimated || in != u.InputTokens || out != u.OutputTokens}
}

// settle bounds the writing of what a stopped step has left behind.
const settle = 5 * time.Second

// failed ends the turn without a record. A run that was asked to stop keeps what was said and billed
// until then; a failed attempt leaves the half-written text to the next one, which declares it void.
func (s *streaming) failed(ctx context.Context, cause error) error {
	a := s.activities
	var model *llm.Error
	if errors.As(cause, &model) {
		a.Observer.ModelFailed(s.prompt.provider.Name(), s.prompt.request.Model, model.Class)
		a.Logger.DebugContext(ctx, "the model failed", "step", s.call.Step, "attempt", s.attempt, "provider", s.prompt.provider.Name(),
			"model", s.prompt.request.Model, "class", model.Class, "status", model.Status)
	}
	asked, why := stopped(ctx), interrupted(ctx, cause)
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), settle)
	defer stop()
	settled := s.ticket.Wait // the next attempt must see them to declare them void
	if asked {
		settled = s.withdraw
	}
	if err := settled(ctx); err != nil {
		a.Logger.WarnContext(ctx, "the last deltas of a step that broke off", "run_id", s.call.RunID, "error", err)
	}
	if !asked {
		s.wasted(ctx, cause)
		return why
	}
	step := s.step(s.billed(cause), "stopped")
	if err := a.Runs.RecordPartial(ctx, step, s.last...); err != nil {
		a.Logger.WarnContext(ctx, "the record of a stopped step", "run_id", s.call.RunID, "error", err)
	}
	return why
}

// billed is what a stopped turn cost: as the provider said until then, else estimated.
func (s *streaming) billed(cause error) llm.Usage {
	if u, ok := llm.PartialUsage(cause); ok {
		return u
	}
	return llm.Usage{
		InputTokens: llm.EstimateInput(s.prompt.request), OutputTokens: int64(s.text.Len()+s.reasoned+3) / 4, Estimated: true,
	}
}
