package api

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/deliveries"
	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/webhooks"
)

const (
	tagWebhooks = "webhooks"
	// testLimit is longer than an attempt may take, so that the answer says how it ended.
	testLimit = 20 * time.Second
)

// WebhookRoutes is the family of the receivers that a tenant registers, with the log of what they were told.
//
// What gives a secret out resumes instead of replaying: a stored answer would keep the secret a second time.
func WebhookRoutes(service *webhooks.Service, log *deliveries.Service) []Route {
	h := webhookHandlers{service, log}
	return []Route{
		Handle("POST", "/v1/webhooks", auth.AgentManage, Meta{
			ID: "createWebhook", Tag: tagWebhooks, Summary: "Register a webhook", Status: 201, Creates: true, Resumes: true,
			Needs: []auth.Permission{auth.RunRead},
			Description: "The answer holds the secret that signs what is sent. It is not shown again, except to a repetition of this request with the same `Idempotency-Key`.",
		}, h.create),
		Handle("GET", "/v1/webhooks", auth.AgentManage, Meta{ID: "listWebhooks", Tag: tagWebhooks, Summary: "List webhooks, newest first"}, h.list),
		Handle("GET", "/v1/webhooks/{webhook_id}", auth.AgentManage, Meta{ID: "getWebhook", Tag: tagWebhooks, Summary: "Get a webhook"}, h.get),
		Handle("PATCH", "/v1/webhooks/{webhook_id}", auth.AgentManage, Meta{ID: "updateWebhook", Needs: []auth.Permission{auth.RunRead}, Tag: tagWebhooks, Summary: "Change a webhook"}, h.update),
		Handle("DELETE", "/v1/webhooks/{webhook_id}", auth.AgentManage, Meta{
			ID: "deleteWebhook", Tag: tagWebhooks, Summary: "Remove a webhook", Description: "Deliveries that are under way to it are refused.",
		}, h.delete),
		Handle("POST", "/v1/webhooks/{webhook_id}/enable", auth.AgentManage, Meta{
			ID: "enableWebhook", Tag: tagWebhooks, Summary: "Enable a webhook", Description: "What happened while it was disabled is not sent.",
			Needs: []auth.Permission{auth.RunRead},
		}, h.enable),
		Handle("POST", "/v1/webhooks/{webhook_id}/disable", auth.AgentManage, Meta{
			ID: "disableWebhook", Tag: tagWebhooks, Summary: "Disable a webhook", Description: "Deliveries that are under way to it are refused.",
		}, h.disable),
		Handle("POST", "/v1/webhooks/{webhook_id}/rotate-secret", auth.AgentManage, Meta{
			ID: "rotateWebhookSecret", Tag: tagWebhooks, Summary: "Give a webhook a new secret", Status: 201, Creates: true, Resumes: true,
			Description: "Until the overlap is over every request carries a signature of each secret. The new secret is not shown again, except to a repetition of this request with the same `Idempotency-Key`.",
		}, h.rotate),
		Handle("POST", "/v1/webhooks/{webhook_id}/test", auth.AgentManage, Meta{
			ID: "testWebhook", Tag: tagWebhooks, Summary: "Send a test message", Timeout: testLimit,
			Needs: []auth.Permission{auth.RunRead},
			Description: "Sends one signed message of the type `webhook_test`, also to a disabled webhook, and answers how that went, within ten seconds and a bit.",
		}, h.test),
		Handle("GET", "/v1/webhooks/{webhook_id}/deliveries", auth.AgentManage, Meta{
			ID: "listDeliveries", Tag: tagWebhooks, Summary: "List a webhook's deliveries, newest first", Description: "They are kept for 30 days.",
			Needs: []auth.Permission{auth.RunRead},
		}, h.deliveries),
		Handle("GET", "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}", auth.AgentManage, Meta{
			ID: "getDelivery", Tag: tagWebhooks, Summary: "Get a delivery with its attempts, the last first",
			Needs: []auth.Permission{auth.RunRead},
		}, h.delivery),
		Handle("POST", "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", auth.AgentManage, Meta{
			ID: "redeliver", Tag: tagWebhooks, Summary: "Deliver once more", Status: 202,
			Needs: []auth.Permission{auth.RunRead},
			Description: "Makes a finished delivery again, with the same `webhook-id`. Refused with 409 while it is still tried, or while the webhook is disabled.",
		}, h.redeliver),
	}
}

type webhookHandlers struct {
	service *webhooks.Service
	log     *deliveries.Service
}

// webhookSecret is an endpoint with the secret that was made for it.
type webhookSecret struct {
	webhooks.Endpoint
	Secret string `json:"secret,omitempty" example:"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" description:"Signs what is sent (Standard Webhooks). Absent in a repeated answer when it signs no more."`
}

func (h webhookHandlers) create(ctx context.Context, in *webhooks.NewEndpoint) (webhookSecret, error) {
	if id, ok := idempotency.ResourceID(ctx); ok {
		in.ID = id
	}
	e, secret, err := h.service.Create(ctx, *in)
	return webhookSecret{e, secret}, err
}

func (h webhookHandlers) list(ctx context.Context, in *page.Request) (page.Page[webhooks.Endpoint], error) {
	return h.service.FindAll(ctx, *in)
}

type webhookPath struct {
	WebhookID uuid.UUID `path:"webhook_id" description:"The webhook."`
}

func (h webhookHandlers) get(ctx context.Context, in *webhookPath) (webhooks.Endpoint, error) {
	return h.service.Find(ctx, in.WebhookID)
}

type updateWebhook struct {
	webhookPath
	webhooks.Update
}

func (h webhookHandlers) update(ctx context.Context, in *updateWebhook) (webhooks.Endpoint, error) {
	return h.service.Update(ctx, in.WebhookID, in.Update)
}

func (h webhookHandlers) delete(ctx context.Context, in *webhookPath) (None, error) {
	return None{}, h.service.Delete(ctx, in.WebhookID)
}

func (h webhookHandlers) enable(ctx context.Context, in *webhookPath) (webhooks.Endpoint, error) {
	return h.service.Enable(ctx, in.WebhookID)
}

func (h webhookHandlers) disable(ctx context.Context, in *webhookPath) (webhooks.Endpoint, error) {
	return h.service.Disable(ctx, in.WebhookID)
}

type rotateSecret struct {
	webhookPath
	webhooks.Rotation
}

func (h webhookHandlers) rotate(ctx context.Context, in *rotateSecret) (webhookSecret, error) {
	if id, ok := idempotency.ResourceID(ctx); ok {
		in.Rotation.ID = id
	}
	e, secret, err := h.service.RotateSecret(ctx, in.WebhookID, in.Rotation)
	return webhookSecret{e, secret}, err
}

func (h webhookHandlers) test(ctx context.Context, in *webhookPath) (webhooks.Probe, error) {
	return h.service.Test(ctx, in.WebhookID)
}
