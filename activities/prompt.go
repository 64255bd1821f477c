package activities

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/storable"
	"github.com/larirun/lari/internal/runs"
)

// prompt is a model turn ready to be asked.
type prompt struct {
	provider llm.Provider
	request  llm.Request
	priced   string // provider/model, as the price table names it
	// limitedBy is set when the run or its tenant has left less for the answer than the agent's own limit.
	limitedBy runs.CutBy
}

// prompt puts the conversation together: the thread, the input, the recorded steps with their tool
// results, and each message that was sent into the run before the step that it was injected at.
func (a *Activities) prompt(ctx context.Context, t runs.Turn, config agents.Config, in ModelCall) (prompt, error) {
	provider, model, err := a.Models.Resolve(config.Model)
	if err != nil {
		return prompt{}, a.noProvider(ctx, err)
	}
	messages, err := a.history(ctx, t.Run)
	if err != nil {
		return prompt{}, err
	}
	for _, m := range t.Run.Input {
		messages = append(messages, llm.Message{Role: llm.Role(m.Role), Content: m.Content})
	}
	for _, step := range t.Steps {
		messages = append(messages, injected(t.Messages, step.Number)...)
		messages = append(messages, recorded(step, provider.Name()+"/"+model)...)
	}
	messages = append(messages, injected(t.Messages, in.Step)...)
	offered, err := a.offered(config)
	if err != nil {
		return prompt{}, err
	}
	limit, limitedBy := outputLimit(config, in.TokensLeft)
	request := llm.Request{
		Model: model, System: config.Instructions, Messages: messages, Tools: offered,
		MaxTokens: limit, Temperature: config.Temperature, Patience: patience(t.Attempt, time.Until(in.Deadline)),
	}
	return prompt{provider: provider, request: request, priced: provider.Name() + "/" + model, limitedBy: limitedBy}, nil
}

// noProvider is the failure of a run whose model lost its provider after the run was accepted. Which setting is missing
// is for the operator, in the log.
func (a *Activities) noProvider(ctx context.Context, err error) error {
	a.Logger.ErrorContext(ctx, "a model cannot be used", "error", err)
	var refusal *fault.Error
	if !errors.As(err, &refusal) {
		return err
	}
	return &llm.Error{Class: llm.ClassAuth, Detail: "The agent's " + refusal.Detail + "."}
}

// history gives what was said on the run's thread before the run.
func (a *Activities) history(ctx context.Context, r runs.Run) ([]llm.Message, error) {
	if r.ThreadID == nil {
		return nil, nil
	}
	before, err := a.Threads.History(ctx, *r.ThreadID, r.ID)
	if err != nil {
		return nil, err
	}
	messages := make([]llm.Message, 0, len(before)+len(r.Input))
	for _, m := range before {
		messages = append(messages, llm.Message{Role: llm.Role(m.Role), Content: m.Content})
	}
	return messages, nil
}

func injected(all []runs.LiveMessage, step int) []llm.Message {
	var messages []llm.Message
	for _, m := range all {
		if m.Step != nil && *m.Step == step {
			messages = append(messages, llm.Message{Role: llm.RoleUser, Content: m.Content})
		}
	}
	return messages
}

// recorded returns a step as the model is shown it. What its provider wants back is there for the same model alone.
func recorded(step runs.Step, model string) []llm.Message {
	var data providerData
	if step.Model == model {
		data = decodeProviderData(step.ProviderData)
	}
	said := llm.Message{Role: llm.RoleAssistant, Content: step.Content, ProviderData: data.Turn}
	var results []llm.Message
	for _, c := range step.ToolCalls {
		said.ToolCalls = append(said.ToolCalls, llm.ToolCall{ID: c.CallID, Name: c.Name, Arguments: argumentsOf(c), ProviderData: data.Calls[c.Position]})
		results = append(results, llm.Message{
			Role: llm.RoleTool, Content: c.Result, ToolCallID: c.CallID, ToolName: c.Name, IsError: c.Status != runs.ToolCompleted,
		})
	}
	return append([]llm.Message{said}, results...)
}

// argumentsOf returns the call's arguments in a form that every provider accepts back: a model that wrote broken JSON,
// or JSON that cannot be stored, has been told so by the tool's result.
func argumentsOf(c runs.ToolCall) string {
	if storable.CheckJSON([]byte(c.Arguments)) != nil {
		return "{}"
	}
	return c.Arguments
}

func (a *Activities) offered(config agents.Config) ([]llm.Tool, error) {
	definitions, err := a.Tools.Definitions(config.ToolNames()...)
	if err != nil {
		return nil, err
	}
	offered := make([]llm.Tool, 0, len(definitions))
	for _, d := range definitions {
		offered = append(offered, llm.Tool{Name: d.Name, Description: d.Description, Parameters: d.Parameters})
	}
	return offered, nil
}

// outputLimit is the agent's own limit or what is left of the run's budget, whichever is less.
func outputLimit(config agents.Config, left *int64) (limit int, by runs.CutBy) {
	if config.MaxOutputTokens != nil {
		limit = *config.MaxOutputTokens
	}
	if left != nil && (limit == 0 || *left < int64(limit)) {
		return int(max(*left, 1)), runs.CutByBudget
	}
	return limit, runs.CutByNothing
}

// leastPatience is the shortest time that a first attempt may wait for a piece of the answer.
const leastPatience = time.Second

// patience bounds the silence of a first attempt to half of what is left of the run's time, so that a provider that
// only sends heartbeats gets a second attempt. Later attempts may take all there is.
func patience(attempt int, left time.Duration) time.Duration {
	if attempt > 1 || left/2 < leastPatience {
		return 0
	}
	return left / 2
}

// modelTurn reduces a recorded step to what the workflow decides by.
func modelTurn(t runs.Taken, config agents.Config) ModelTurn {
	turn := ModelTurn{Usage: t.Usage, More: t.More, Failure: t.Failure}
	for _, c := range t.ToolCalls {
		if c.IsUnfinished() {
			continue
		}
		needs := slices.ContainsFunc(config.Tools, func(ref agents.ToolRef) bool { return ref.Name == c.Name && ref.NeedsApproval })
		turn.ToolCalls = append(turn.ToolCalls, CallRef{ID: c.ID, Name: label(c.Name), NeedsApproval: needs})
	}
	if len(t.ToolCalls) > 0 && len(turn.ToolCalls) == 0 && t.Failure == nil {
		turn.More = true // the results of the calls say why none was run
	}
	return turn
}

// maxLabel is the length of the longest name of a tool.
const maxLabel = 64

// label makes a name that a model wrote fit for the engine's summaries, which are bounded to 400 bytes as JSON: one
// that is longer would fail the workflow's task over and over. Names of tools stay as they are.
func label(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '?'
	}, name)
	return storable.Truncate(plain, maxLabel)
}
