package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/txn-service/txn/cmd/txnctl/apiclient"
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

// retryPause is kept before a question is asked again whose answer does not say
// when.
const retryPause = time.Second

// settle finds out about the requests whose outcome is unknown, by sending them
// again under their keys: what happened is not repeated, and what did not, happens
// now.
func (l *load) settle(ctx context.Context) {
	if len(l.unknown) > 0 {
		l.options.Say("Asking again about %d requests that got no clear answer …", len(l.unknown))
	}
	for _, r := range l.unknown {
		err := l.patiently(ctx, func() error {
			_, err := l.client.Do(ctx, http.MethodPost, r.path, r.key, r.body, nil)
			return err
		})
		var problem *apiclient.RefusedError
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
func (l *load) verify(ctx context.Context) Verification {
	v := Verification{Status: VerificationSkipped, Credited: l.accounts.credited}
	if !l.accounts.own {
		v.Detail = "the accounts are not the load's own: others may move their money"
		return v
	}
	l.options.Say("Reading %d balances …", len(l.accounts.ids))
	balances, err := l.balances(ctx)
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

func (l *load) balances(ctx context.Context) ([]int64, error) {
	balances := make([]int64, len(l.accounts.ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(min(l.options.Connections, maxAtOnce))
	for i, id := range l.accounts.ids {
		group.Go(func() error {
			var account struct{ Balance int64 }
			err := l.patiently(ctx, func() error { return l.client.Get(ctx, "/v1/accounts/"+id, &account) })
			balances[i] = account.Balance
			return err
		})
	}
	return balances, group.Wait()
}

// patiently asks until there is a clear answer, or ctx ends. Whoever limits the
// load limits the questions after it, too.
func (l *load) patiently(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		var problem *apiclient.RefusedError
		switch {
		case err == nil, ctx.Err() != nil:
			return err
		case errors.As(err, &problem) && problem.Status != http.StatusTooManyRequests && refused(err):
			return err
		case problem != nil && problem.RetryAfter > 0:
			pause(ctx, problem.RetryAfter)
		default:
			pause(ctx, retryPause)
		}
	}
}
