package scenario

import (
	"context"
	"errors"
	"fmt"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
)

func prepareDelivering(ctx context.Context, b *Bench) error {
	if _, err := b.openWrk(ctx); err != nil {
		return err
	}
	_, err := b.delivering(ctx, true)
	return err
}

func measureDelivering(ctx context.Context, b *Bench) (report.Run, error) {
	return b.delivering(ctx, false)
}

// delivering is the uniform load with a dispatcher beside it, in a database of
// its own: nothing of it may be left to deliver while others are measured.
func (b *Bench) delivering(ctx context.Context, warm bool) (run report.Run, err error) {
	s, err := b.newSite(ctx, b.fresh("delivering"))
	if err != nil {
		return report.Run{}, err
	}
	defer func() { err = errors.Join(err, s.drop(ctx)) }()
	api, err := b.stack.StartAPI(ctx, s.url)
	if err != nil {
		return report.Run{}, err
	}
	defer func() { err = errors.Join(err, api.Stop(ctx)) }()
	tenant, err := s.tenant(ctx, api, accounts)
	if err != nil {
		return report.Run{}, err
	}
	dispatcher, err := b.stack.StartDispatcher(ctx, s.url)
	if err != nil {
		return report.Run{}, err
	}
	defer func() { err = errors.Join(err, dispatcher.Stop(ctx)) }()
	if err := s.settle(ctx, patience); err != nil {
		return report.Run{}, err
	}
	l := load.Transfers{Tenants: []load.Tenant{tenant}, Connections: connections}
	if run, err = b.transferOn(ctx, s, []string{api.URL}, l, b.warm()); err != nil || warm {
		return run, err
	}
	b.receiver.Reset(nil)
	if run, err = b.transferOn(ctx, s, []string{api.URL}, l, b.options.Duration); err != nil {
		return run, err
	}
	run.Note = fmt.Sprintf("%.0f deliveries/s meanwhile", float64(b.receiver.Received())/b.options.Duration.Seconds())
	return run, nil
}
