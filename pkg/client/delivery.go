package client

import (
	"context"
	"iter"
)

// DeliveryService shows events on their way to endpoints. It needs the scope
// webhooks:read, and webhooks:write to replay.
type DeliveryService struct{ c *Client }

// Get returns a delivery with its latest 100 attempts, oldest first; CodeNotFound without
// one.
func (s *DeliveryService) Get(ctx context.Context, id string, options ...CallOption) (*Delivery, error) {
	return do[Delivery](ctx, s.c, getDelivery(id), nil, options)
}

// List returns a page of deliveries, newest first, without their attempts; those of one
// endpoint in the order of its events.
func (s *DeliveryService) List(ctx context.Context, params ListDeliveriesParams, options ...CallOption) (*Page[Delivery], error) {
	return do[Page[Delivery]](ctx, s.c, listDeliveries(params), nil, options)
}

// All ranges over all deliveries as List does.
func (s *DeliveryService) All(ctx context.Context, params ListDeliveriesParams, options ...CallOption) iter.Seq2[Delivery, error] {
	return all[Delivery](ctx, s.c, listDeliveries(params), options)
}

// Replay sends a delivery again, whether it was delivered or failed. One that is pending
// already is left alone. CodeInvalidState when the endpoint is disabled or the event has
// been deleted for its age.
func (s *DeliveryService) Replay(ctx context.Context, id string, options ...CallOption) (*Replay, error) {
	return do[Replay](ctx, s.c, replayDelivery(id), nil, options)
}

// PreviewReplay says what Replay would do, and does nothing.
func (s *DeliveryService) PreviewReplay(ctx context.Context, id string, options ...CallOption) (*ReplayPreview, error) {
	return do[ReplayPreview](ctx, s.c, replayDelivery(id).dryRun(), nil, options)
}
