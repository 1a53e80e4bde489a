package client

import (
	"context"
	"iter"
)

// ReplayService sends again what failed, in the background. It needs the scope
// webhooks:read, and webhooks:write to make and cancel replays.
type ReplayService struct{ c *Client }

// Create replays everything that has failed on any endpoint of the business, or on the
// one of the replay. Disabled endpoints are left out and counted as SkippedWebhooks.
// CodeLimitExceeded when ten replays are not done yet.
func (s *ReplayService) Create(ctx context.Context, replay NewReplay, options ...CallOption) (*Replay, error) {
	return do[Replay](ctx, s.c, createReplay(), replay, options)
}

// Preview says what Create would do, and does nothing.
func (s *ReplayService) Preview(ctx context.Context, replay NewReplay, options ...CallOption) (*ReplayPreview, error) {
	return do[ReplayPreview](ctx, s.c, createReplay().dryRun(), replay, options)
}

// Get returns a replay and how far it is; CodeNotFound without one.
func (s *ReplayService) Get(ctx context.Context, id string, options ...CallOption) (*Replay, error) {
	return do[Replay](ctx, s.c, getReplay(id), nil, options)
}

// List returns a page of replays, newest first.
func (s *ReplayService) List(ctx context.Context, params ListReplaysParams, options ...CallOption) (*Page[Replay], error) {
	return do[Page[Replay]](ctx, s.c, listReplays(params), nil, options)
}

// All ranges over all replays, newest first.
func (s *ReplayService) All(ctx context.Context, params ListReplaysParams, options ...CallOption) iter.Seq2[Replay, error] {
	return all[Replay](ctx, s.c, listReplays(params), options)
}

// Cancel stops a replay. What it has replayed stays pending. CodeInvalidState when it has
// completed or failed; cancelling it again changes nothing.
func (s *ReplayService) Cancel(ctx context.Context, id string, options ...CallOption) (*Replay, error) {
	return do[Replay](ctx, s.c, cancelReplay(id), nil, options)
}
