package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/pkg/client"
)

// Verification is whether the balances are what was acknowledged.
type Verification struct {
	// Status is one of those below, Detail says why.
	Status string `json:"status"`
	Detail string `json:"detail"`
	// Credited is what all accounts got first, Balances what they have now, in minor
	// units.
	Credited int64 `json:"credited"`
	Balances int64 `json:"balances"`
}

// How a verification ends.
const (
	VerificationOK      = "ok"
	VerificationFailed  = "failed"
	VerificationSkipped = "skipped"
)

// settle finds out about the requests whose outcome is unknown, by sending them
// again under their keys: what happened is not repeated, and what did not, happens
// now.
func (l *load) settle(ctx context.Context, patient *client.Client) {
	if len(l.unknown) > 0 {
		l.options.Say("Asking again about %d requests that got no clear answer …", len(l.unknown))
	}
	for _, r := range l.unknown {
		err := l.post(ctx, patient, r)
		var problem *client.Error
		switch {
		case err == nil:
			l.acknowledged(r)
		case errors.As(err, &problem) && problem.Status == http.StatusUnprocessableEntity:
			// Judged afresh: it had moved nothing.
		default:
			l.forgotten++
		}
	}
	l.unknown = nil
}

// verify compares every account with what was acknowledged, and their sum with
// what was credited: transfers between them do not change it.
func (l *load) verify(ctx context.Context, patient *client.Client) Verification {
	v := Verification{Status: VerificationSkipped, Credited: l.accounts.credited}
	if !l.accounts.own {
		v.Detail = "the accounts are not the load's own: others may move their money"
		return v
	}
	l.options.Say("Reading %d balances …", len(l.accounts.ids))
	balances, err := l.balances(ctx, patient)
	if err != nil {
		v.Detail = "the balances could not be read: " + err.Error()
		return v
	}
	different, first := 0, ""
	for i, balance := range balances {
		v.Balances += balance
		if expected := l.accounts.balances[i].Load(); balance != expected {
			if different++; different == 1 {
				first = fmt.Sprintf("account %s has %d instead of %d", l.accounts.ids[i], balance, expected)
			}
		}
	}
	switch {
	case v.Balances != v.Credited:
		v.Status, v.Detail = VerificationFailed, fmt.Sprintf("all accounts together have %d instead of %d", v.Balances, v.Credited)
	case different > 0 && l.forgotten > 0:
		v.Status, v.Detail = VerificationOK, fmt.Sprintf("no money came or went; of %d requests it is not known whether they moved any", l.forgotten)
	case different > 0:
		v.Status, v.Detail = VerificationFailed, fmt.Sprintf("%s, and %d more", first, different-1)
	default:
		v.Status, v.Detail = VerificationOK, "every balance is what was acknowledged"
	}
	return v
}

func (l *load) balances(ctx context.Context, patient *client.Client) ([]int64, error) {
	balances := make([]int64, len(l.accounts.ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(min(l.options.Connections, maxAtOnce))
	for i, id := range l.accounts.ids {
		group.Go(func() error {
			account, err := patient.Accounts.Get(ctx, id)
			if err != nil {
				return err
			}
			balances[i] = account.Balance
			return nil
		})
	}
	return balances, group.Wait()
}
