// Package smoke moves money through a running API and back, to see that all of
// it works together: what `helm test` runs.
package smoke

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/txn-service/txn/cmd/txnctl/apiclient"
)

const (
	// amount is what is moved, in minor units of currency.
	amount   = 100
	currency = "USD"
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

// account is what is read of one.
type account struct {
	ID      string `json:"id"`
	Balance int64  `json:"balance"`
}

// transaction is what is read of one.
type transaction struct {
	ID      string `json:"id"`
	Entries []struct {
		AccountID string `json:"account_id"`
		Amount    int64  `json:"amount"`
	} `json:"entries"`
}

// run is one pass.
type run struct {
	*apiclient.Client
	// id makes this pass's idempotency keys its own.
	id string
}

// Run credits an account, transfers the money to a second one, repeats the
// transfer, debits it there, and checks after each step what the API says: the
// accounts end as they began. They are made at the first run and used again, so
// that a test which runs for years leaves two accounts. Two runs for the same
// business must not overlap.
func Run(ctx context.Context, options Options) (Result, error) {
	r := &run{Client: apiclient.New(options.URL, options.Key, 1), id: rand.Text()}
	defer r.Close()
	waiting, cancel := context.WithTimeout(ctx, options.Wait)
	defer cancel()
	if err := r.AwaitReady(waiting); err != nil {
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

// account finds an account by its reference, or makes it.
func (r *run) account(ctx context.Context, reference string) (account, error) {
	var found struct{ Data []account }
	if err := r.Get(ctx, "/v1/accounts?reference="+url.QueryEscape(reference), &found); err != nil {
		return account{}, err
	}
	if len(found.Data) > 0 {
		return found.Data[0], nil
	}
	var made account
	_, err := r.Do(ctx, http.MethodPost, "/v1/accounts", r.id+"/"+reference,
		map[string]any{"name": "txnctl smoke", "reference": reference, "currency": currency}, &made)
	return made, err
}

func (r *run) move(ctx context.Context, source, destination account) (result Result, err error) {
	credit, _, err := r.post(ctx, "credit", map[string]any{"destination_account_id": source.ID},
		map[string]int64{source.ID: amount})
	if err != nil {
		return result, err
	}
	result.Credit = credit
	accounts := map[string]any{"source_account_id": source.ID, "destination_account_id": destination.ID}
	moved := map[string]int64{source.ID: -amount, destination.ID: amount}
	if result.Transfer, _, err = r.post(ctx, "transfer", accounts, moved); err != nil {
		return result, err
	}
	again, replayed, err := r.post(ctx, "transfer", accounts, moved)
	if err != nil {
		return result, err
	}
	if again != result.Transfer || !replayed {
		return result, fmt.Errorf("a repeated transfer moved money again: %s after %s", again, result.Transfer)
	}
	result.Debit, _, err = r.post(ctx, "debit", map[string]any{"source_account_id": destination.ID},
		map[string]int64{destination.ID: -amount})
	return result, err
}

// post makes a transaction and checks its entries.
func (r *run) post(ctx context.Context, kind string, fields map[string]any, entries map[string]int64) (id string, replayed bool, err error) {
	body := map[string]any{"type": kind, "amount": amount, "description": "txnctl smoke"}
	for name, value := range fields {
		body[name] = value
	}
	var made transaction
	if replayed, err = r.Do(ctx, http.MethodPost, "/v1/transactions", r.id+"/"+kind, body, &made); err != nil {
		return "", false, err
	}
	for _, entry := range made.Entries {
		if entries[entry.AccountID] != entry.Amount {
			return "", false, fmt.Errorf("%s %s: account %s has an entry of %d", kind, made.ID, entry.AccountID, entry.Amount)
		}
	}
	if len(made.Entries) != len(entries) {
		return "", false, fmt.Errorf("%s %s: %d entries instead of %d", kind, made.ID, len(made.Entries), len(entries))
	}
	return made.ID, replayed, nil
}

// unchanged checks that an account has what it had.
func (r *run) unchanged(ctx context.Context, before account) error {
	var now account
	if err := r.Get(ctx, "/v1/accounts/"+before.ID, &now); err != nil {
		return err
	}
	if now.Balance != before.Balance {
		return fmt.Errorf("account %s has %d, and had %d before the money came and went", now.ID, now.Balance, before.Balance)
	}
	return nil
}
