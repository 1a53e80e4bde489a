package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
)

const (
	connections = 64
	accounts    = 1000

	manyTenants    = 100
	tenantAccounts = 10

	// neverRefused is counted in Redis for every request and refuses none.
	neverRefused = "100000000-M"
)

func transferScenarios() []Scenario {
	return []Scenario{
		{
			Name: "raw", Summary: "pgbench on a one-round-trip SQL function, 10,000 accounts", Unit: report.PerSecond,
			prepare: prepareRaw, measure: measureRaw(load.RawUniform),
		},
		{
			Name: "uniform", Summary: "transfers over HTTP, 64 connections, 1,000 accounts", Unit: report.PerSecond,
			Yardstick: "raw", Goal: report.Goal{Ratio: 1, MostP99: 40},
			prepare: prepareUniform,
			measure: func(ctx context.Context, b *Bench) (report.Run, error) {
				return b.transfer(ctx, b.main.api.URL, load.Transfers{Tenants: []load.Tenant{b.accounts}, Connections: connections}, b.options.Duration)
			},
		},
		{
			Name: "limiter", Summary: "uniform, with the rate limiter counting in Redis", Unit: report.PerSecond,
			Yardstick: "raw", Goal: report.Goal{Ratio: 0.9},
			prepare: prepareLimiter,
			measure: func(ctx context.Context, b *Bench) (report.Run, error) {
				return b.transfer(ctx, b.limited.URL, load.Transfers{Tenants: []load.Tenant{b.accounts}, Connections: connections}, b.options.Duration)
			},
		},
		{
			Name: "hot", Summary: "every transfer from one account", Unit: report.PerSecond,
			Yardstick: "uniform", Goal: report.Goal{Ratio: 0.9},
			prepare: prepareMain,
			measure: func(ctx context.Context, b *Bench) (report.Run, error) {
				return b.transfer(ctx, b.main.api.URL, load.Transfers{Tenants: []load.Tenant{b.accounts}, Connections: connections, Hot: true}, b.options.Duration)
			},
		},
		{
			Name: "pair", Summary: "two accounts, in both directions", Unit: report.PerSecond,
			Yardstick: "uniform", Goal: report.Goal{Ratio: 0.9},
			prepare: prepareMain,
			measure: func(ctx context.Context, b *Bench) (report.Run, error) {
				pair := load.Tenant{Key: b.accounts.Key, Accounts: b.accounts.Accounts[:2]}
				return b.transfer(ctx, b.main.api.URL, load.Transfers{Tenants: []load.Tenant{pair}, Connections: connections}, b.options.Duration)
			},
		},
		{
			Name: "tenants", Summary: "100 businesses with 10 accounts each", Unit: report.PerSecond,
			Yardstick: "uniform", Goal: report.Goal{Ratio: 0.9},
			prepare: prepareTenants,
			measure: func(ctx context.Context, b *Bench) (report.Run, error) {
				return b.transfer(ctx, b.main.api.URL, load.Transfers{Tenants: b.many, Connections: connections}, b.options.Duration)
			},
		},
		{
			Name: "raw-hot", Summary: "raw, every transfer from one account", Unit: report.PerSecond, Yardstick: "raw",
			prepare: prepareRaw, measure: measureRaw(load.RawHot),
		},
	}
}

// prepareMain makes the site of all transfers that nothing delivers. Its events
// stay in the outbox: sending them meanwhile is the scenario delivering.
func prepareMain(ctx context.Context, b *Bench) error {
	if b.main != nil {
		return nil
	}
	wrk, err := b.openWrk(ctx)
	if err != nil {
		return err
	}
	s, err := b.newSite(ctx, "transfers")
	if err != nil {
		return err
	}
	if s.api, err = b.stack.StartAPI(ctx, s.url); err != nil {
		return err
	}
	if b.accounts, err = s.tenant(ctx, s.api, accounts); err != nil {
		return err
	}
	warm := load.Transfers{Tenants: []load.Tenant{b.accounts}, Connections: connections}
	if _, err = wrk.Run(ctx, s.api.URL, warm, b.warm()); err != nil {
		return err
	}
	b.main = s
	return nil
}

func (b *Bench) openWrk(ctx context.Context) (*load.Wrk, error) {
	if b.wrk == nil {
		if err := load.InstallWrk(ctx, b.options.Progress); err != nil {
			return nil, err
		}
		wrk, err := load.NewWrk(b.stack.Dir())
		if err != nil {
			return nil, err
		}
		b.wrk = wrk
	}
	return b.wrk, nil
}

func prepareUniform(ctx context.Context, b *Bench) error {
	if err := prepareMain(ctx, b); err != nil {
		return err
	}
	if b.options.ProfileDir == "" {
		return nil
	}
	return b.profile(ctx)
}

func prepareLimiter(ctx context.Context, b *Bench) error {
	if err := prepareMain(ctx, b); err != nil {
		return err
	}
	redis, err := b.stack.RedisURL(ctx)
	if err != nil {
		return err
	}
	b.limited, err = b.stack.StartAPI(ctx, b.main.url, "TXN_REDIS_URL="+redis, "TXN_RATE_LIMIT_PER_IP="+neverRefused)
	if err != nil {
		return err
	}
	warm := load.Transfers{Tenants: []load.Tenant{b.accounts}, Connections: connections}
	_, err = b.transfer(ctx, b.limited.URL, warm, b.warm())
	return err
}

func prepareTenants(ctx context.Context, b *Bench) error {
	if err := prepareMain(ctx, b); err != nil {
		return err
	}
	for len(b.many) < manyTenants {
		made, err := b.main.tenant(ctx, b.main.api, tenantAccounts)
		if err != nil {
			return err
		}
		b.many = append(b.many, made)
	}
	_, err := b.transfer(ctx, b.main.api.URL, load.Transfers{Tenants: b.many, Connections: connections}, b.warm())
	return err
}

// transfer runs a load on the main site and checks that every confirmed
// transfer is in the database.
func (b *Bench) transfer(ctx context.Context, apiURL string, l load.Transfers, duration time.Duration) (report.Run, error) {
	return b.transferOn(ctx, b.main, []string{apiURL}, l, duration)
}

// transferOn is transfer on any site, with the connections shared out among its
// APIs.
func (b *Bench) transferOn(
	ctx context.Context, s *site, apiURLs []string, l load.Transfers, duration time.Duration,
) (report.Run, error) {
	before, err := s.movements(ctx)
	if err != nil {
		return report.Run{}, err
	}
	sample, err := b.wrk.RunOn(ctx, apiURLs, l, duration)
	if err != nil {
		return report.Run{}, err
	}
	after, err := s.movements(ctx)
	if err != nil {
		return report.Run{}, err
	}
	// What was under way when the clock stopped may have been committed too.
	moved, unconfirmed := (after-before)/2, int64(2*l.Connections*max(l.Batch, 1))
	if moved < sample.Done || moved > sample.Done+unconfirmed {
		return report.Run{}, fmt.Errorf("%w: %d transfers were confirmed, %d were made", errMiscounted, sample.Done, moved)
	}
	return runOf(sample), nil
}

// errMiscounted says that answers and ledger disagree, which makes the figure
// worthless.
var errMiscounted = errors.New("the ledger does not hold what was confirmed")
