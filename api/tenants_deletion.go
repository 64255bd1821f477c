package api

import (
	"context"
	"time"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/tenants"
)

// deletionHandlers answer for the end of a tenant. It is the platform's alone: an owner asks the operator,
// who may leave a grace period in which it can be taken back (docs/adr/0014).
type deletionHandlers struct {
	service *tenants.Deletions
}

func (h deletionHandlers) routes() []Route {
	return []Route{
		Handle("DELETE", "/v1/tenants/{tenant_id}", auth.PlatformManage, Meta{
			ID: "deleteTenant", Tag: tagTenants, Summary: "Delete a tenant, with all that it has", Status: 202,
			Description: "Durable: it goes on whatever dies. From now on the tenant begins no runs, its API keys are refused and its schedules do nothing. " +
				"When the grace period is over what runs is stopped, everything is exported (unless `export=false`) and erased, also the audit trail, whose end the record of the deletion keeps. " +
				"A repetition gives the deletion as it is.",
		}, h.request),
		Handle("GET", "/v1/tenants/{tenant_id}/deletion", auth.PlatformManage, Meta{
			ID: "getTenantDeletion", Tag: tagTenants, Summary: "Get the progress of a deletion", Description: "Also when the tenant is gone.",
		}, h.get),
		Handle("POST", "/v1/tenants/{tenant_id}/deletion/cancel", auth.PlatformManage, Meta{
			ID: "cancelTenantDeletion", Tag: tagTenants, Summary: "Take a deletion back", Description: "While it is `waiting`; the tenant is then what it was before. 409 afterwards.",
		}, h.cancel),
	}
}

type requestDeletion struct {
	tenantPath
	GraceSeconds int    `query:"grace_seconds" validate:"min=0,max=2592000" minimum:"0" maximum:"2592000" default:"86400" description:"How long it can be taken back before anything is erased."`
	Export       bool   `query:"export" default:"true" description:"Write everything to files first, on the disk of the workers."`
	Reason       string `query:"reason" validate:"max=500" description:"Why, for people to read." example:"The contract ended."`
}

func (h deletionHandlers) request(ctx context.Context, in *requestDeletion) (tenants.Deletion, error) {
	return h.service.Request(ctx, tenants.DeletionRequest{
		Reason: in.Reason, Export: in.Export, Grace: time.Duration(in.GraceSeconds) * time.Second,
	})
}

func (h deletionHandlers) get(ctx context.Context, _ *tenantPath) (tenants.Deletion, error) {
	return h.service.Find(ctx)
}

func (h deletionHandlers) cancel(ctx context.Context, _ *tenantPath) (tenants.Deletion, error) {
	return h.service.Cancel(ctx)
}
