package api

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/page"
)

const tagAgents = "agents"

// AgentRoutes is the family of agents.
func AgentRoutes(service *agents.Service) []Route {
	h := agentHandlers{service}
	return []Route{
		Handle("POST", "/v1/agents", auth.AgentManage, Meta{ID: "createAgent", Tag: tagAgents, Summary: "Make an agent", Status: 201, Creates: true}, h.create),
		Handle("GET", "/v1/agents", auth.AgentRead, Meta{ID: "listAgents", Tag: tagAgents, Summary: "List agents, newest first"}, h.list),
		Handle("GET", "/v1/agents/{agent_id}", auth.AgentRead, Meta{ID: "getAgent", Tag: tagAgents, Summary: "Get an agent by its id or slug"}, h.get),
		Handle("PATCH", "/v1/agents/{agent_id}", auth.AgentManage, Meta{
			ID: "updateAgent", Tag: tagAgents, Summary: "Change an agent", Description: "A changed config becomes a new version; runs under way keep theirs.",
		}, h.update),
		Handle("DELETE", "/v1/agents/{agent_id}", auth.AgentManage, Meta{
			ID: "deleteAgent", Tag: tagAgents, Summary: "Take an agent away", Description: "Its runs and versions stay; its slug is free again. 409 while schedules, or webhooks of this agent alone, name it, unless `force` is given.",
		}, h.delete),
		Handle("GET", "/v1/agents/{agent_id}/versions", auth.AgentRead, Meta{ID: "listAgentVersions", Tag: tagAgents, Summary: "List an agent's versions, newest first"}, h.versions),
		Handle("GET", "/v1/agents/{agent_id}/versions/{version}", auth.AgentRead, Meta{ID: "getAgentVersion", Tag: tagAgents, Summary: "Get a version of an agent"}, h.version),
	}
}

type agentHandlers struct {
	service *agents.Service
}

func (h agentHandlers) create(ctx context.Context, in *agents.NewAgent) (agents.Agent, error) {
	if id, ok := idempotency.ResourceID(ctx); ok {
		in.ID = id
	}
	return h.service.CreateAgent(ctx, *in)
}

func (h agentHandlers) list(ctx context.Context, in *page.Request) (page.Page[agents.Agent], error) {
	return h.service.FindAgents(ctx, *in)
}

type agentRef struct {
	Agent string `path:"agent_id" validate:"max=64" description:"Id or slug of the agent."`
}

func (h agentHandlers) get(ctx context.Context, in *agentRef) (agents.Agent, error) {
	return h.service.FindAgent(ctx, in.Agent)
}

type agentPath struct {
	AgentID uuid.UUID `path:"agent_id" description:"The agent."`
}

type updateAgent struct {
	agentPath
	agents.Update
}

func (h agentHandlers) update(ctx context.Context, in *updateAgent) (agents.Agent, error) {
	return h.service.UpdateAgent(ctx, in.AgentID, in.Update)
}

type deleteAgent struct {
	agentPath
	Force bool `query:"force" description:"Delete it although schedules or webhooks name it: firings are refused from then on, and the webhooks hear nothing more."`
}

func (h agentHandlers) delete(ctx context.Context, in *deleteAgent) (None, error) {
	return None{}, h.service.DeleteAgent(ctx, in.AgentID, in.Force)
}

type agentVersions struct {
	agentPath
	page.Request
}

func (h agentHandlers) versions(ctx context.Context, in *agentVersions) (page.Page[agents.Version], error) {
	return h.service.FindVersions(ctx, in.AgentID, in.Request)
}

type agentVersion struct {
	agentPath
	Version int `path:"version" validate:"min=1" description:"Number of the version."`
}

func (h agentHandlers) version(ctx context.Context, in *agentVersion) (agents.Version, error) {
	return h.service.FindVersion(ctx, in.AgentID, in.Version)
}
