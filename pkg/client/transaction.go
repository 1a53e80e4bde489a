package client

import (
	"context"
	"iter"
)

// TransactionService moves money. A transaction never changes: a mistake is corrected by
// a reversal. It needs the scope transactions:read, and transactions:write to move
// money.
type TransactionService struct{ c *Client }

// Create moves money. When it returns a transaction, that is committed, with its
// entries, the new balances and the event. The key of the movement may also stand in its
// field IdempotencyKey.
//
// It is refused with CodeInsufficientFunds, CodeAccountNotActive, CodeCurrencyMismatch,
// CodeConditionFailed, CodeLimitExceeded (a balance would leave ±(2^53 − 1)),
// CodeNotFound (of an account), CodeAlreadyExists (of the reference),
// CodeIdempotencyKeyReused and CodeValidationFailed.
func (s *TransactionService) Create(ctx context.Context, transaction NewTransaction, options ...CallOption) (*Transaction, error) {
	return do[Transaction](ctx, s.c, createTransaction(), transaction, ownKey(transaction, options))
}

// DryRun judges a movement as Create would, and answers what would come out, or with
// the refusal. Nothing is kept: neither the id that it shows nor the idempotency key.
func (s *TransactionService) DryRun(ctx context.Context, transaction NewTransaction, options ...CallOption) (*Transaction, error) {
	return do[Transaction](ctx, s.c, createTransaction().dryRun(), transaction, ownKey(transaction, options))
}

// ownKey takes the key from the movement where it has one.
func ownKey(transaction NewTransaction, options []CallOption) []CallOption {
	if transaction.IdempotencyKey == "" {
		return options
	}
	return append([]CallOption{WithIdempotencyKey(transaction.IdempotencyKey)}, options...)
}

// newBatch is the body of both kinds of batches.
type newBatch struct {
	Atomic       bool             `json:"atomic"`
	Transactions []NewTransaction `json:"transactions"`
}

// CreateBatch makes up to 1,000 movements in one commit, or none of them. They are
// judged in order: one may use money that an earlier one brought. Its refusal is that of
// the first item that fails, whose position is in Error.Index.
func (s *TransactionService) CreateBatch(ctx context.Context, transactions []NewTransaction, options ...CallOption) ([]Transaction, error) {
	made, err := do[Page[Transaction]](ctx, s.c, createBatch(), newBatch{true, transactions}, options)
	if err != nil {
		return nil, err
	}
	return made.Data, nil
}

// CreateEach makes up to 1,000 movements in one commit, each for itself: the result has
// for each item, in their order, the transaction or the error.
func (s *TransactionService) CreateEach(ctx context.Context, transactions []NewTransaction, options ...CallOption) ([]BatchResult, error) {
	made, err := do[Page[BatchResult]](ctx, s.c, createBatch(), newBatch{false, transactions}, options)
	if err != nil {
		return nil, err
	}
	return made.Data, nil
}

// Reverse gives money of a transaction back: all that is left of it, or the amount of
// the reversal. CodeInvalidState when it is itself a reversal, or has been reversed in
// full; CodeValidationFailed beyond what is left.
func (s *TransactionService) Reverse(ctx context.Context, id string, reversal NewReversal, options ...CallOption) (*Transaction, error) {
	return do[Transaction](ctx, s.c, reverseTransaction(id), reversal, options)
}

// Get returns a transaction with its entries and how much of it has been reversed so
// far; CodeNotFound without one.
func (s *TransactionService) Get(ctx context.Context, id string, options ...CallOption) (*Transaction, error) {
	return do[Transaction](ctx, s.c, getTransaction(id), nil, options)
}

// List returns a page of transactions, newest first; those of one account in the order
// of its entries. CodeNotFound when a filter names an object that does not exist.
func (s *TransactionService) List(ctx context.Context, params ListTransactionsParams, options ...CallOption) (*Page[Transaction], error) {
	return do[Page[Transaction]](ctx, s.c, listTransactions(params), nil, options)
}

// All ranges over all transactions as List does.
func (s *TransactionService) All(ctx context.Context, params ListTransactionsParams, options ...CallOption) iter.Seq2[Transaction, error] {
	return all[Transaction](ctx, s.c, listTransactions(params), options)
}
