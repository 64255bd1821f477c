package api

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/tenants"
)

const tagTenants = "tenants"

// TenantRoutes is the family of the customers. A path that names a tenant settles which one is acted in: no
// handler compares ids.
func TenantRoutes(service *tenants.Service, deletions *tenants.Deletions) []Route {
	h := tenantHandlers{service}
	all := []Route{
		Handle("POST", "/v1/tenants", auth.PlatformManage, Meta{
			ID: "createTenant", Tag: tagTenants, Summary: "Make a tenant", Status: 201, Creates: true,
			Description: "With its default workspace. It has no members yet: add the first owner with `PUT /v1/tenants/{tenant_id}/members/{user_id}`.",
		}, h.create),
		Handle("GET", "/v1/tenants", auth.TenantRead, Meta{
			ID: "listTenants", Tag: tagTenants, Summary: "List your tenants, newest first", Anywhere: true,
			Description: "The tenants that you belong to; the platform sees all. It needs no `x-tenant-id`.",
		}, h.list),
		Handle("GET", "/v1/tenants/{tenant_id}", auth.TenantRead, Meta{ID: "getTenant", Tag: tagTenants, Summary: "Get a tenant"}, h.get),
		Handle("PATCH", "/v1/tenants/{tenant_id}", auth.TenantManage, Meta{ID: "updateTenant", Tag: tagTenants, Summary: "Change a tenant"}, h.update),
		Handle("POST", "/v1/tenants/{tenant_id}/suspend", auth.PlatformManage, Meta{
			ID: "suspendTenant", Tag: tagTenants, Summary: "Suspend a tenant",
			Description: "What runs finishes; new runs are refused with 403 `tenant_suspended` and the reason. All can be read, and API keys go on. " +
				"A suspended tenant may be suspended again: that changes the reason.",
		}, h.suspend),
		Handle("POST", "/v1/tenants/{tenant_id}/resume", auth.PlatformManage, Meta{
			ID: "resumeTenant", Tag: tagTenants, Summary: "Resume a suspended tenant", Description: "An active one stays as it is.",
		}, h.resume),
	}
	for _, family := range [][]Route{h.workspaceRoutes(), h.memberRoutes(), h.keyRoutes(), deletionHandlers{deletions}.routes()} {
		all = append(all, family...)
	}
	return all
}

type tenantHandlers struct {
	service *tenants.Service
}

func (h tenantHandlers) create(ctx context.Context, in *tenants.NewTenant) (tenants.Tenant, error) {
	if id, ok := idempotency.ResourceID(ctx); ok {
		in.ID = id
	}
	return h.service.CreateTenant(ctx, *in)
}

type listTenants struct {
	page.Request
	Status     []tenants.Status `query:"status" validate:"max=3,dive,oneof=active suspended deleting" description:"Only tenants of these states; may be repeated."`
	SlugPrefix string           `query:"slug_prefix" validate:"max=63" description:"Only tenants whose slug begins so." example:"ac"`
}

func (h tenantHandlers) list(ctx context.Context, in *listTenants) (page.Page[tenants.Tenant], error) {
	return h.service.FindTenants(ctx, tenants.Filter{Status: in.Status, SlugPrefix: in.SlugPrefix}, in.Request)
}

// tenantPath is in the input of every route of one tenant. The adapter has acted on it already.
type tenantPath struct {
	TenantID uuid.UUID `path:"tenant_id" description:"The tenant, which is then the one acted in."`
}

func (h tenantHandlers) get(ctx context.Context, _ *tenantPath) (tenants.Tenant, error) {
	return h.service.Find(ctx)
}

type updateTenant struct {
	tenantPath
	tenants.Update
}

func (h tenantHandlers) update(ctx context.Context, in *updateTenant) (tenants.Tenant, error) {
	return h.service.Update(ctx, in.Update)
}

type suspendTenant struct {
	tenantPath
	Reason string `json:"reason" validate:"required,max=500" description:"Why, for its people to read." example:"The invoice of October is unpaid."`
}

func (h tenantHandlers) suspend(ctx context.Context, in *suspendTenant) (tenants.Tenant, error) {
	return h.service.Suspend(ctx, in.Reason)
}

func (h tenantHandlers) resume(ctx context.Context, _ *tenantPath) (tenants.Tenant, error) {
	return h.service.Resume(ctx)
}
