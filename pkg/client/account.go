package client

import (
	"context"
	"iter"
	"time"
)

// AccountService keeps accounts. An account holds money of one currency; a movement is
// refused when it would bring Available below −OverdraftLimit. It needs the scope
// accounts:read, and accounts:write to make and change accounts.
type AccountService struct{ c *Client }

// Create opens an account; CodeAlreadyExists when another one has the reference.
func (s *AccountService) Create(ctx context.Context, account NewAccount, options ...CallOption) (*Account, error) {
	return do[Account](ctx, s.c, createAccount(), account, options)
}

// Get returns an account with its balances as of now; CodeNotFound without one.
func (s *AccountService) Get(ctx context.Context, id string, options ...CallOption) (*Account, error) {
	return do[Account](ctx, s.c, getAccount(id), nil, options)
}

// Update changes what is given. CodeInvalidState for closing an account that has money
// or holds, and for opening a closed one.
func (s *AccountService) Update(ctx context.Context, id string, change AccountChange, options ...CallOption) (*Account, error) {
	return do[Account](ctx, s.c, updateAccount(id), change, options)
}

// List returns a page of accounts, newest first.
func (s *AccountService) List(ctx context.Context, params ListAccountsParams, options ...CallOption) (*Page[Account], error) {
	return do[Page[Account]](ctx, s.c, listAccounts(params), nil, options)
}

// All ranges over all accounts, newest first.
func (s *AccountService) All(ctx context.Context, params ListAccountsParams, options ...CallOption) iter.Seq2[Account, error] {
	return all[Account](ctx, s.c, listAccounts(params), options)
}

// Balance returns what an account has now, in minor units.
func (s *AccountService) Balance(ctx context.Context, id string, options ...CallOption) (*Balance, error) {
	return do[Balance](ctx, s.c, getBalance(id), nil, options)
}

// BalanceAt returns what an account had at a moment, in minor units, after the last
// entry at or before it.
func (s *AccountService) BalanceAt(ctx context.Context, id string, moment time.Time, options ...CallOption) (*PastBalance, error) {
	return do[PastBalance](ctx, s.c, getBalance(id).with("at", moment.Format(time.RFC3339Nano)), nil, options)
}

// Entries returns a page of an account's statement, newest first.
func (s *AccountService) Entries(ctx context.Context, id string, params ListEntriesParams, options ...CallOption) (*Page[StatementEntry], error) {
	return do[Page[StatementEntry]](ctx, s.c, listEntries(id, params), nil, options)
}

// AllEntries ranges over an account's statement, newest first, page by page. Statement
// is faster and one consistent state, but has to be read without pauses.
func (s *AccountService) AllEntries(ctx context.Context, id string, params ListEntriesParams, options ...CallOption) iter.Seq2[StatementEntry, error] {
	return all[StatementEntry](ctx, s.c, listEntries(id, params), options)
}
