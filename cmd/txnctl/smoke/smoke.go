// Package smoke moves money through a running API and back, to see that all of
// it works together: what `helm test` runs.
package smoke

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/txn-service/txn/pkg/client"
)

const (
	// amount is what is moved, in minor units of currency.
	amount   = 100
	currency = "USD"
	// readyInterval is between two questions whether the API is ready.
	readyInterval = 500 * time.Millisecond
)

// Options say where to move money.
type Options struct {
	// URL is the API's address.
	URL string
	// Key is an API key with the scopes accounts:read, accounts:write and
	// transactions:write.
	Key string
	// Wait is how long the API may take to become ready.
	Wait time.Duration
}

// Result is what was done.
type Result struct {
	// Credit, Transfer and Debit are the ids of the transactions.
	Credit   string `json:"credit_id"`
	Transfer string `json:"transfer_id"`
	Debit    string `json:"debit_id"`
}

// run is one pass.
type run struct {
	*client.Client
	// id makes this pass's idempotency keys its own.
	id string
}

// Run credits an account, transfers the money to a second one, repeats the
// transfer, debits it there, and checks after each step what the API says: the
// accounts end as they began. They are made at the first run and used again, so
// that a test which runs for years leaves two accounts. Two runs for the same
// business must not overlap.
func Run(ctx context.Context, options Options) (Result, error) {
	// Without a proxy: what is asked is whether this address works.
	direct := &http.Client{Transport: &http.Transport{}}
	api, err := client.New(options.URL, options.Key, client.WithHTTPClient(direct))
	if err != nil {
		return Result{}, err
	}
	defer api.Close()
	r := &run{Client: api, id: rand.Text()}
	waiting, cancel := context.WithTimeout(ctx, options.Wait)
	defer cancel()
	if err := r.awaitReady(waiting); err != nil {
		return Result{}, err
	}
	source, err := r.account(ctx, "smoke-source")
	if err != nil {
		return Result{}, err
	}
	destination, err := r.account(ctx, "smoke-destination")
	if err != nil {
		return Result{}, err
	}
	result, err := r.move(ctx, source, destination)
	if err != nil {
		return result, err
	}
	return result, errors.Join(r.unchanged(ctx, source), r.unchanged(ctx, destination))
}

// awaitReady returns when the API says that it can work, or with what it said last
// when ctx ends.
func (r *run) awaitReady(ctx context.Context) error {
	for {
		err := r.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API did not become ready: %w", err)
		case <-time.After(readyInterval):
		}
	}
}

// account finds an account by its reference, or makes it.
func (r *run) account(ctx context.Context, reference string) (*client.Account, error) {
	found, err := r.Accounts.List(ctx, client.ListAccountsParams{Reference: reference})
	if err != nil {
		return nil, err
	}
	if len(found.Data) > 0 {
		return &found.Data[0], nil
	}
	return r.Accounts.Create(ctx, client.NewAccount{Name: "txnctl smoke", Reference: reference, Currency: currency},
		client.WithIdempotencyKey(r.id+"/"+reference))
}

func (r *run) move(ctx context.Context, source, destination *client.Account) (result Result, err error) {
	credit := client.NewTransaction{Type: client.TransactionTypeCredit, DestinationAccountID: source.ID}
	if result.Credit, _, err = r.post(ctx, credit, map[string]int64{source.ID: amount}); err != nil {
		return result, err
	}
	transfer := client.NewTransaction{
		Type: client.TransactionTypeTransfer, SourceAccountID: source.ID, DestinationAccountID: destination.ID,
	}
	moved := map[string]int64{source.ID: -amount, destination.ID: amount}
	if result.Transfer, _, err = r.post(ctx, transfer, moved); err != nil {
		return result, err
	}
	again, replayed, err := r.post(ctx, transfer, moved)
	if err != nil {
		return result, err
	}
	if again != result.Transfer || !replayed {
		return result, fmt.Errorf("a repeated transfer moved money again: %s after %s", again, result.Transfer)
	}
	debit := client.NewTransaction{Type: client.TransactionTypeDebit, SourceAccountID: destination.ID}
	result.Debit, _, err = r.post(ctx, debit, map[string]int64{destination.ID: -amount})
	return result, err
}

// post makes a transaction of each type once, however often it is called, and checks
// its entries.
func (r *run) post(ctx context.Context, movement client.NewTransaction, entries map[string]int64) (id string, replayed bool, err error) {
	movement.Amount, movement.Description = amount, "txnctl smoke"
	movement.IdempotencyKey = r.id + "/" + string(movement.Type)
	var response client.Response
	made, err := r.Transactions.Create(ctx, movement, client.WithResponse(&response))
	if err != nil {
		return "", false, err
	}
	for _, entry := range made.Entries {
		if entries[entry.AccountID] != entry.Amount {
			return "", false, fmt.Errorf("%s %s: account %s has an entry of %d", movement.Type, made.ID, entry.AccountID, entry.Amount)
		}
	}
	if len(made.Entries) != len(entries) {
		return "", false, fmt.Errorf("%s %s: %d entries instead of %d", movement.Type, made.ID, len(made.Entries), len(entries))
	}
	return made.ID, response.Replayed, nil
}

// unchanged checks that an account has what it had.
func (r *run) unchanged(ctx context.Context, before *client.Account) error {
	now, err := r.Accounts.Get(ctx, before.ID)
	if err != nil {
		return err
	}
	if now.Balance != before.Balance {
		return fmt.Errorf("account %s has %d, and had %d before the money came and went", now.ID, now.Balance, before.Balance)
	}
	return nil
}
