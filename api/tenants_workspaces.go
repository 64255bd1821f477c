package api

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/tenants"
)

func (h tenantHandlers) workspaceRoutes() []Route {
	return []Route{
		Handle("POST", "/v1/tenants/{tenant_id}/workspaces", auth.TenantManage, Meta{
			ID: "createWorkspace", Tag: tagTenants, Summary: "Make a workspace", Status: 201, Creates: true,
		}, h.createWorkspace),
		Handle("GET", "/v1/tenants/{tenant_id}/workspaces", auth.TenantRead, Meta{
			ID: "listWorkspaces", Tag: tagTenants, Summary: "List workspaces, newest first",
		}, h.listWorkspaces),
		Handle("GET", "/v1/tenants/{tenant_id}/workspaces/{workspace_id}", auth.TenantRead, Meta{
			ID: "getWorkspace", Tag: tagTenants, Summary: "Get a workspace",
		}, h.getWorkspace),
		Handle("PATCH", "/v1/tenants/{tenant_id}/workspaces/{workspace_id}", auth.TenantManage, Meta{
			ID: "updateWorkspace", Tag: tagTenants, Summary: "Change a workspace",
		}, h.updateWorkspace),
		Handle("DELETE", "/v1/tenants/{tenant_id}/workspaces/{workspace_id}", auth.TenantManage, Meta{
			ID: "deleteWorkspace", Tag: tagTenants, Summary: "Remove a workspace",
			Description: "409 for the default workspace, and for one that has runs: they would lose where they belong. Also while schedules name it, unless `force` is given.",
		}, h.deleteWorkspace),
	}
}

type createWorkspace struct {
	tenantPath
	tenants.NewWorkspace
}

func (h tenantHandlers) createWorkspace(ctx context.Context, in *createWorkspace) (tenants.Workspace, error) {
	if id, ok := idempotency.ResourceID(ctx); ok {
		in.NewWorkspace.ID = id
	}
	return h.service.CreateWorkspace(ctx, in.NewWorkspace)
}

type listOfTenant struct {
	tenantPath
	page.Request
}

func (h tenantHandlers) listWorkspaces(ctx context.Context, in *listOfTenant) (page.Page[tenants.Workspace], error) {
	return h.service.FindWorkspaces(ctx, in.Request)
}

type workspacePath struct {
	tenantPath
	WorkspaceID uuid.UUID `path:"workspace_id" description:"The workspace."`
}

func (h tenantHandlers) getWorkspace(ctx context.Context, in *workspacePath) (tenants.Workspace, error) {
	return h.service.FindWorkspace(ctx, in.WorkspaceID.String())
}

type updateWorkspace struct {
	workspacePath
	tenants.Update
}

func (h tenantHandlers) updateWorkspace(ctx context.Context, in *updateWorkspace) (tenants.Workspace, error) {
	return h.service.UpdateWorkspace(ctx, in.WorkspaceID, in.Update)
}

type deleteWorkspace struct {
	workspacePath
	Force bool `query:"force" description:"Remove it although schedules name it: their firings are refused from then on."`
}

func (h tenantHandlers) deleteWorkspace(ctx context.Context, in *deleteWorkspace) (None, error) {
	return None{}, h.service.DeleteWorkspace(ctx, in.WorkspaceID, in.Force)
}
