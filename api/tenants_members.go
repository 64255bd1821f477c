package api

import (
	"context"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/tenants"
)

func (h tenantHandlers) memberRoutes() []Route {
	return []Route{
		Handle("GET", "/v1/tenants/{tenant_id}/members", auth.TenantRead, Meta{
			ID: "listMembers", Tag: tagTenants, Summary: "List members, by their user ids",
		}, h.listMembers),
		Handle("GET", "/v1/tenants/{tenant_id}/members/{user_id}", auth.TenantRead, Meta{
			ID: "getMember", Tag: tagTenants, Summary: "Get a member",
		}, h.getMember),
		Handle("PUT", "/v1/tenants/{tenant_id}/members/{user_id}", auth.TenantManage, Meta{
			ID: "putMember", Tag: tagTenants, Summary: "Add a member, or change its role", Also: []int{201},
			Description: "201 for a new member. Nobody gives a role above their own, an API key only roles that it holds whole and without an end, and a tenant keeps its last owner (409). " +
				"It is in the user's tokens from the next one that is signed (docs/tenants.md).",
		}, h.putMember),
		Handle("DELETE", "/v1/tenants/{tenant_id}/members/{user_id}", auth.TenantManage, Meta{
			ID: "deleteMember", Tag: tagTenants, Summary: "Remove a member",
			Description: "Tokens that were signed before hold until they expire. A tenant keeps its last owner (409).",
		}, h.deleteMember),
	}
}

type listMembers struct {
	listOfTenant
	Role auth.Role `query:"role" validate:"omitempty,oneof=viewer operator admin owner" description:"Only members of this role."`
}

func (h tenantHandlers) listMembers(ctx context.Context, in *listMembers) (page.Page[tenants.Member], error) {
	return h.service.FindMembers(ctx, in.Role, in.Request)
}

type memberPath struct {
	tenantPath
	UserID string `path:"user_id" description:"The sub of the user's tokens." example:"8f14e45f-ceea-4e7b-9c1d-0a1b2c3d4e5f"`
}

func (h tenantHandlers) getMember(ctx context.Context, in *memberPath) (tenants.Member, error) {
	return h.service.FindMember(ctx, in.UserID)
}

type putMember struct {
	memberPath
	tenants.MemberUpdate
}

// putAnswer is a member that was perhaps added.
type putAnswer struct {
	tenants.Member
	created bool
}

// Respond says whether the member is new.
func (a putAnswer) Respond(h *Head) {
	if a.created {
		h.Status = 201
	}
}

func (h tenantHandlers) putMember(ctx context.Context, in *putMember) (putAnswer, error) {
	m, created, err := h.service.PutMember(ctx, in.UserID, in.MemberUpdate)
	return putAnswer{m, created}, err
}

func (h tenantHandlers) deleteMember(ctx context.Context, in *memberPath) (None, error) {
	return None{}, h.service.RemoveMember(ctx, in.UserID)
}
