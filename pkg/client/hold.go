package client

import (
	"context"
	"iter"
)

// HoldService sets money aside. Held money stays in the balance but is not available,
// until it is captured, voided, or the hold expires. It needs the scope
// transactions:read, and transactions:write to make and end holds.
type HoldService struct{ c *Client }

// Create sets money aside. It is refused with CodeInsufficientFunds,
// CodeAccountNotActive, CodeCurrencyMismatch, CodeNotFound (of an account),
// CodeLimitExceeded, CodeIdempotencyKeyReused and CodeValidationFailed.
func (s *HoldService) Create(ctx context.Context, hold NewHold, options ...CallOption) (*Hold, error) {
	return do[Hold](ctx, s.c, createHold(), hold, options)
}

// Get returns a hold and how much of it has been captured; CodeNotFound without one.
func (s *HoldService) Get(ctx context.Context, id string, options ...CallOption) (*Hold, error) {
	return do[Hold](ctx, s.c, getHold(id), nil, options)
}

// List returns a page of holds, newest first.
func (s *HoldService) List(ctx context.Context, params ListHoldsParams, options ...CallOption) (*Page[Hold], error) {
	return do[Page[Hold]](ctx, s.c, listHolds(params), nil, options)
}

// All ranges over all holds, newest first.
func (s *HoldService) All(ctx context.Context, params ListHoldsParams, options ...CallOption) iter.Seq2[Hold, error] {
	return all[Hold](ctx, s.c, listHolds(params), options)
}

// Capture takes all that is left of a hold, or the amount of the capture, and returns
// the transaction that moved it. A part leaves the rest held, unless Final gives it
// back. CodeInvalidState when the hold is not pending any more; CodeValidationFailed
// beyond what is left.
func (s *HoldService) Capture(ctx context.Context, id string, capture NewCapture, options ...CallOption) (*Transaction, error) {
	return do[Transaction](ctx, s.c, captureHold(id), capture, options)
}

// Void gives held money back. What had been captured stays captured. CodeInvalidState
// when the hold is not pending any more.
func (s *HoldService) Void(ctx context.Context, id string, options ...CallOption) (*Hold, error) {
	return do[Hold](ctx, s.c, voidHold(id), nil, options)
}
