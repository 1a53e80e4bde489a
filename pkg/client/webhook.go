package client

import (
	"context"
	"iter"
)

// WebhookService keeps the endpoints that events are sent to. It needs the scope
// webhooks:read, and webhooks:write for all that changes or sends something.
type WebhookService struct{ c *Client }

// Create adds an endpoint; CodeLimitExceeded when the business has all that it may have.
//
// The answer holds the signing secret, and no other answer does: Secret is empty when
// this is the answer to an earlier request with the same key, such as a try whose answer
// was lost. RotateSecret makes a new one.
func (s *WebhookService) Create(ctx context.Context, webhook NewWebhook, options ...CallOption) (*Webhook, error) {
	return do[Webhook](ctx, s.c, createWebhook(), webhook, options)
}

// Get returns an endpoint and how deliveries to it are going; CodeNotFound without one.
func (s *WebhookService) Get(ctx context.Context, id string, options ...CallOption) (*Webhook, error) {
	return do[Webhook](ctx, s.c, getWebhook(id), nil, options)
}

// Update changes what is given. What is being sent finishes as it began. CodeInvalidState
// when there is too much pending to do so now.
func (s *WebhookService) Update(ctx context.Context, id string, change WebhookChange, options ...CallOption) (*Webhook, error) {
	return do[Webhook](ctx, s.c, updateWebhook(id), change, options)
}

// Delete removes an endpoint, and ends what is pending as failed. Its deliveries can
// still be read. CodeNotFound without one, unless an earlier try of this call may have
// removed it.
func (s *WebhookService) Delete(ctx context.Context, id string, options ...CallOption) error {
	return remove(ctx, s.c, deleteWebhook(id), options)
}

// List returns a page of endpoints, newest first, without their health.
func (s *WebhookService) List(ctx context.Context, params ListWebhooksParams, options ...CallOption) (*Page[Webhook], error) {
	return do[Page[Webhook]](ctx, s.c, listWebhooks(params), nil, options)
}

// All ranges over all endpoints, newest first, without their health.
func (s *WebhookService) All(ctx context.Context, params ListWebhooksParams, options ...CallOption) iter.Seq2[Webhook, error] {
	return all[Webhook](ctx, s.c, listWebhooks(params), options)
}

// RotateSecret changes the signing secret. The former one signs as well for a grace
// period, a day by default. Of Secret the same is true as with Create. CodeLimitExceeded
// when five former secrets are in their grace period.
func (s *WebhookService) RotateSecret(ctx context.Context, id string, rotation SecretRotation, options ...CallOption) (*Webhook, error) {
	return do[Webhook](ctx, s.c, rotateWebhookSecret(id), rotation, options)
}

// Test sends an event webhook.test to this endpoint alone and waits up to 10 seconds for
// the first attempt; the delivery may still be pending then. CodeInvalidState when the
// endpoint is disabled.
func (s *WebhookService) Test(ctx context.Context, id string, options ...CallOption) (*Delivery, error) {
	return do[Delivery](ctx, s.c, testWebhook(id), nil, options)
}

// Replay sends what has failed on the endpoint again; with Since also events that it
// subscribes to and never had. It is done in the background. CodeInvalidState when the
// endpoint is disabled, CodeLimitExceeded when ten replays are not done yet.
func (s *WebhookService) Replay(ctx context.Context, id string, replay NewWebhookReplay, options ...CallOption) (*Replay, error) {
	return do[Replay](ctx, s.c, replayWebhook(id), replay, options)
}

// PreviewReplay says what Replay would do, and does nothing.
func (s *WebhookService) PreviewReplay(ctx context.Context, id string, replay NewWebhookReplay, options ...CallOption) (*ReplayPreview, error) {
	return do[ReplayPreview](ctx, s.c, replayWebhook(id).dryRun(), replay, options)
}
