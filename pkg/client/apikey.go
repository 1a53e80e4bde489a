package client

import (
	"context"
	"iter"
)

// APIKeyService keeps the keys of the business. It needs the scope keys:manage, which no
// key has unless it was asked for.
type APIKeyService struct{ c *Client }

// Create issues a key; CodeLimitExceeded when the business has all that it may have.
//
// The answer holds the key itself, and no other answer does: Key is empty when this is
// the answer to an earlier request with the same idempotency key, such as a try whose
// answer was lost. Revoke that one, and issue another.
func (s *APIKeyService) Create(ctx context.Context, key NewAPIKey, options ...CallOption) (*APIKey, error) {
	return do[APIKey](ctx, s.c, createAPIKey(), key, options)
}

// Get returns what is known of a key, which is not the key itself; CodeNotFound without
// one.
func (s *APIKeyService) Get(ctx context.Context, id string, options ...CallOption) (*APIKey, error) {
	return do[APIKey](ctx, s.c, getAPIKey(id), nil, options)
}

// List returns a page of keys, newest first, those that work no more included.
func (s *APIKeyService) List(ctx context.Context, params ListAPIKeysParams, options ...CallOption) (*Page[APIKey], error) {
	return do[Page[APIKey]](ctx, s.c, listAPIKeys(params), nil, options)
}

// All ranges over all keys, newest first, those that work no more included.
func (s *APIKeyService) All(ctx context.Context, params ListAPIKeysParams, options ...CallOption) iter.Seq2[APIKey, error] {
	return all[APIKey](ctx, s.c, listAPIKeys(params), options)
}

// Rotate issues a key with the name, scopes and expiry of the old one, which goes on
// working for a grace period, a day by default. Of Key the same is true as with Create.
// CodeInvalidState when the old one is revoked or expired.
func (s *APIKeyService) Rotate(ctx context.Context, id string, rotation APIKeyRotation, options ...CallOption) (*APIKey, error) {
	return do[APIKey](ctx, s.c, rotateAPIKey(id), rotation, options)
}

// Revoke ends a key for good, everywhere within a second. Revoking it again changes
// nothing, and a key may revoke itself. CodeNotFound without one.
func (s *APIKeyService) Revoke(ctx context.Context, id string, options ...CallOption) error {
	return remove(ctx, s.c, revokeAPIKey(id), options)
}
