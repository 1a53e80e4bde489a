package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/client"
)

const (
	// maxAtOnce bounds the requests at once before and after the load.
	maxAtOnce = 16
	// maxBatch is the API's limit of a batch.
	maxBatch = 1000
)

// accounts are those of the load, with what they should have.
type accounts struct {
	ids []string
	// own says that they were made here: nobody else moves their money.
	own bool
	// credited is what was credited to all of them together.
	credited int64
	// balances are what each had at the start and got since, as acknowledged.
	balances []atomic.Int64
}

// openAccounts makes the accounts of the load, unless it is to use others, and
// funds them.
func openAccounts(ctx context.Context, api *client.Client, run string, options Options) (*accounts, error) {
	a := &accounts{ids: options.AccountIDs}
	if len(a.ids) == 0 {
		a.own, a.ids = true, make([]string, options.Accounts)
		options.Say("Making %d accounts …", options.Accounts)
		if err := a.open(ctx, api, run, min(options.Connections, maxAtOnce)); err != nil {
			return nil, err
		}
	}
	a.balances = make([]atomic.Int64, len(a.ids))
	if options.Funds > 0 {
		options.Say("Crediting each with %d …", options.Funds)
		return a, a.fund(ctx, api, run, options.Funds)
	}
	return a, nil
}

func (a *accounts) open(ctx context.Context, api *client.Client, run string, atOnce int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range a.ids {
		group.Go(func() error {
			number := strconv.Itoa(i + 1)
			made, err := api.Accounts.Create(ctx, client.NewAccount{Name: "txnctl bench " + run + " " + number},
				client.WithIdempotencyKey(run+"/account/"+number))
			if err != nil {
				return err
			}
			a.ids[i] = made.ID
			return nil
		})
	}
	return group.Wait()
}

func (a *accounts) fund(ctx context.Context, api *client.Client, run string, funds int64) error {
	for first := 0; first < len(a.ids); first += maxBatch {
		var credits []client.NewTransaction
		for i := first; i < min(first+maxBatch, len(a.ids)); i++ {
			credits = append(credits, client.NewTransaction{
				Type: client.TransactionTypeCredit, Amount: funds, DestinationAccountID: a.ids[i],
			})
			a.balances[i].Store(funds)
			a.credited += funds
		}
		_, err := api.Transactions.CreateBatch(ctx, credits, client.WithIdempotencyKey(run+"/funds/"+strconv.Itoa(first)))
		if err != nil {
			return err
		}
	}
	return nil
}

// explain says what to do about a refusal that is no fault of the service.
func explain(err error) error {
	var refusal *client.Error
	if errors.As(err, &refusal) && refusal.Status == http.StatusTooManyRequests {
		return fmt.Errorf("%w: %s", err, limitAdvice)
	}
	return err
}

const limitAdvice = "the API limits what an address may ask; for the test, raise rate_limit.per_ip (TXN_RATE_LIMIT_PER_IP; 0 turns it off)"
