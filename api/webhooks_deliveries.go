package api

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/deliveries"
	"github.com/larirun/lari/internal/platform/page"
)

type listDeliveries struct {
	webhookPath
	page.Request
	Status []deliveries.Status `query:"status" validate:"max=4,dive,oneof=pending delivered refused failed" description:"Only deliveries of these states; may be repeated."`
	RunID  *uuid.UUID          `query:"run_id" description:"Only deliveries of this run."`
}

func (h webhookHandlers) deliveries(ctx context.Context, in *listDeliveries) (page.Page[deliveries.Delivery], error) {
	if _, err := h.service.Find(ctx, in.WebhookID); err != nil {
		return page.Page[deliveries.Delivery]{}, err
	}
	return h.log.FindAll(ctx, deliveries.Filter{EndpointID: in.WebhookID, Status: in.Status, RunID: in.RunID}, in.Request)
}

type deliveryPath struct {
	webhookPath
	DeliveryID uuid.UUID `path:"delivery_id" description:"The delivery."`
}

// deliveryView is a delivery with its attempts.
type deliveryView struct {
	deliveries.Delivery
	Log []deliveries.Attempt `json:"attempt_log" description:"The attempts, the last first, at most 200."`
}

func (h webhookHandlers) delivery(ctx context.Context, in *deliveryPath) (deliveryView, error) {
	if _, err := h.service.Find(ctx, in.WebhookID); err != nil {
		return deliveryView{}, err
	}
	d, attempts, err := h.log.Find(ctx, in.WebhookID, in.DeliveryID)
	return deliveryView{d, attempts}, err
}

func (h webhookHandlers) redeliver(ctx context.Context, in *deliveryPath) (deliveries.Delivery, error) {
	if err := h.service.CheckEnabled(ctx, in.WebhookID); err != nil {
		return deliveries.Delivery{}, err
	}
	return h.log.Redeliver(ctx, in.WebhookID, in.DeliveryID)
}
