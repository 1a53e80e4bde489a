package scenario

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/stack"
)

// serve runs an API, and a dispatcher where one is wanted, on a site of its own
// while do works with it. Nothing of it may be left to deliver while others are
// measured.
func (b *Bench) serve(
	ctx context.Context, kind string, dispatching bool, do func(s *site, api *stack.Service) error,
) (err error) {
	s, err := b.newSite(ctx, b.fresh(kind))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.drop(ctx)) }()
	api, err := b.stack.StartAPI(ctx, s.url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, api.Stop(ctx)) }()
	if dispatching {
		dispatcher, err := b.stack.StartDispatcher(ctx, s.url)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, dispatcher.Stop(ctx)) }()
	}
	return do(s, api)
}

// pay posts a transfer between two random accounts.
func pay(ctx context.Context, api *stack.Service, tenant load.Tenant) error {
	source := rand.IntN(len(tenant.Accounts))
	destination := (source + 1 + rand.IntN(len(tenant.Accounts)-1)) % len(tenant.Accounts)
	return post(ctx, api.URL+"/v1/transactions", tenant.Key, newTransaction{
		Type: "transfer", Source: tenant.Accounts[source], Destination: tenant.Accounts[destination], Amount: 1,
	})
}
