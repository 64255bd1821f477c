package api

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/tenants"
)

// What gives the secret of a key out resumes instead of replaying: a stored answer would keep the secret. A
// repetition has none to show, for only its hash is kept.
func (h tenantHandlers) keyRoutes() []Route {
	return []Route{
		Handle("POST", "/v1/tenants/{tenant_id}/api-keys", auth.TenantManage, Meta{
			ID: "createAPIKey", Tag: tagTenants, Summary: "Make an API key", Status: 201, Creates: true, Resumes: true,
			Description: "The answer holds the key itself, in `secret`, and nothing ever shows it again: a repetition of this request with the same " +
				"`Idempotency-Key` gives the key without it. Whoever lost it revokes the key and makes another. " +
				"A key gets nothing that its maker lacks: no role above the maker's, no permission outside the maker's, and one made with a key that ends does not end later.",
		}, h.createKey),
		Handle("GET", "/v1/tenants/{tenant_id}/api-keys", auth.TenantRead, Meta{
			ID: "listAPIKeys", Tag: tagTenants, Summary: "List API keys, newest first",
		}, h.listKeys),
		Handle("GET", "/v1/tenants/{tenant_id}/api-keys/{key_id}", auth.TenantRead, Meta{
			ID: "getAPIKey", Tag: tagTenants, Summary: "Get an API key",
		}, h.getKey),
		Handle("PATCH", "/v1/tenants/{tenant_id}/api-keys/{key_id}", auth.TenantManage, Meta{
			ID: "updateAPIKey", Tag: tagTenants, Summary: "Change the name or the end of an API key",
		}, h.updateKey),
		Handle("POST", "/v1/tenants/{tenant_id}/api-keys/{key_id}/revoke", auth.TenantManage, Meta{
			ID: "revokeAPIKey", Tag: tagTenants, Summary: "Revoke an API key, for good",
			Description: "It is refused within moments, and after 30 seconds at the latest, by every process.",
		}, h.revokeKey),
	}
}

type createKey struct {
	tenantPath
	tenants.NewKey
}

// keySecret is a key with the secret that is shown once.
type keySecret struct {
	tenants.Key
	Secret string `json:"secret,omitempty" example:"lari_2Vh8kQ0sYb1c_…" description:"The key itself, for X-API-Key or Authorization: Bearer. Absent in the answer to a repetition."`
}

func (h tenantHandlers) createKey(ctx context.Context, in *createKey) (keySecret, error) {
	if id, ok := idempotency.ResourceID(ctx); ok {
		in.NewKey.ID = id
	}
	k, secret, err := h.service.IssueKey(ctx, in.NewKey)
	return keySecret{k, secret}, err
}

type listKeys struct {
	listOfTenant
	IncludeRevoked bool `query:"include_revoked" description:"Also those that were revoked."`
}

func (h tenantHandlers) listKeys(ctx context.Context, in *listKeys) (page.Page[tenants.Key], error) {
	return h.service.FindAPIKeys(ctx, in.IncludeRevoked, in.Request)
}

type keyPath struct {
	tenantPath
	KeyID uuid.UUID `path:"key_id" description:"The key."`
}

func (h tenantHandlers) getKey(ctx context.Context, in *keyPath) (tenants.Key, error) {
	return h.service.FindAPIKey(ctx, in.KeyID)
}

type updateKey struct {
	keyPath
	tenants.KeyUpdate
}

func (h tenantHandlers) updateKey(ctx context.Context, in *updateKey) (tenants.Key, error) {
	return h.service.UpdateKey(ctx, in.KeyID, in.KeyUpdate)
}

func (h tenantHandlers) revokeKey(ctx context.Context, in *keyPath) (tenants.Key, error) {
	return h.service.Revoke(ctx, in.KeyID)
}
