package app

import (
	"context"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
)

// createAssistant creates the agent that a run without an `agent` names. Every new tenant gets it. It has no tool
// that reaches the network: with one, a document that the agent reads could make it send other documents away.
func (a *App) createAssistant(ctx context.Context) error {
	_, err := a.Agents.CreateAgent(ctx, agents.NewAgent{
		Slug: runs.DefaultAgent, Name: "Assistant", Description: "Answers questions from the tenant's documents.",
		Config: agents.Config{
			Instructions: "You are a helpful assistant. Search the tenant's knowledge before you answer, and cite the documents that you use. Say so when they do not hold the answer.",
			Tools:        []agents.ToolRef{{Name: "knowledge_search"}, {Name: "current_time"}, {Name: "calculator"}},
		},
	})
	return err
}

// ensureAssistant creates the assistant of the context's tenant unless there is one, and reports whether it did.
func (a *App) ensureAssistant(ctx context.Context) (created bool, err error) {
	_, err = a.Agents.FindAgent(ctx, runs.DefaultAgent)
	if !fault.Is(err, fault.NotFound) {
		return false, err
	}
	if err = a.createAssistant(ctx); fault.Is(err, fault.Conflict) {
		return false, nil // another process created it at this moment
	}
	return err == nil, err
}
