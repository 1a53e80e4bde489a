package client

import "context"

// BusinessService shows the business that the API key belongs to.
type BusinessService struct{ c *Client }

// Get returns the business. Every key may ask, whatever its scopes;
// CodeBusinessSuspended when an operator has suspended it.
func (s *BusinessService) Get(ctx context.Context, options ...CallOption) (*Business, error) {
	return do[Business](ctx, s.c, getBusiness(), nil, options)
}
