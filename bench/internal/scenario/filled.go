package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
	"github.com/txn-service/txn/pkg/models"
)

const (
	// sampleAccounts and sampleShare are the size of the business that is verified
	// after filling: the same statements wrote it, and it takes a second instead of
	// minutes.
	sampleAccounts = 20
	sampleShare    = 100
)

func filledScenarios() []Scenario {
	return []Scenario{
		{
			Name: "empty", Summary: "uniform, in a database of its own without history", Unit: report.PerSecond,
			prepare: prepareEmpty,
			measure: func(ctx context.Context, b *Bench) (report.Run, error) {
				return b.empty.run(ctx, b, b.options.Duration)
			},
		},
		{
			Name: "filled", Summary: "empty, with transactions stored before (-stored)", Unit: report.PerSecond,
			Yardstick: "empty", Goal: report.Goal{Ratio: 0.9},
			prepare: prepareFilled,
			measure: measureFilled,
		},
	}
}

// ledgerSite is a site with one business under load.
type ledgerSite struct {
	*site

	tenant load.Tenant
	stored int64
}

func (l *ledgerSite) run(ctx context.Context, b *Bench, duration time.Duration) (report.Run, error) {
	transfers := load.Transfers{Tenants: []load.Tenant{l.tenant}, Connections: connections}
	return b.transferOn(ctx, l.site, []string{l.api.URL}, transfers, duration)
}

func prepareEmpty(ctx context.Context, b *Bench) error {
	made, err := b.newLedgerSite(ctx, "empty", 0)
	b.empty = made
	return err
}

func prepareFilled(ctx context.Context, b *Bench) error {
	made, err := b.newLedgerSite(ctx, "filled", b.options.Stored)
	b.filled = made
	return err
}

func measureFilled(ctx context.Context, b *Bench) (report.Run, error) {
	run, err := b.filled.run(ctx, b, b.options.Duration)
	run.Note = fmt.Sprintf("%d stored", b.filled.stored)
	return run, err
}

func (b *Bench) newLedgerSite(ctx context.Context, name string, stored int) (*ledgerSite, error) {
	if _, err := b.openWrk(ctx); err != nil {
		return nil, err
	}
	s, err := b.newSite(ctx, name)
	if err != nil {
		return nil, err
	}
	made := &ledgerSite{site: s}
	if stored > 0 {
		if err := made.store(ctx, b, stored); err != nil {
			return nil, err
		}
	}
	if s.api, err = b.stack.StartAPI(ctx, s.url); err != nil {
		return nil, err
	}
	if stored == 0 {
		if made.tenant, err = s.tenant(ctx, s.api, accounts); err != nil {
			return nil, err
		}
	}
	// The same for both, and long enough to read what the load touches.
	_, err = made.run(ctx, b, b.options.Duration)
	return made, err
}

// store fills the database with the past of the business under load and with a
// small one's, which is verified.
func (l *ledgerSite) store(ctx context.Context, b *Bench, stored int) error {
	past, err := l.past(ctx, accounts, stored)
	if err != nil {
		return err
	}
	sample, err := l.past(ctx, sampleAccounts, stored/sampleShare)
	if err != nil {
		return err
	}
	if err := b.fill(ctx, l.site, past, sample); err != nil {
		return err
	}
	l.stored = past.transactions() + sample.transactions()
	b.say("verifying %d of %d stored transactions", sample.transactions(), l.stored)
	return sample.verify(ctx, l.site)
}

// past makes a business with accounts and without money; the first one is put
// under load.
func (l *ledgerSite) past(ctx context.Context, accounts, transfers int) (*history, error) {
	business, key, err := l.business(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.ownEndpoint(ctx, business, 0); err != nil {
		return nil, err
	}
	ids, err := l.accounts(ctx, business, accounts)
	if err != nil {
		return nil, err
	}
	if l.tenant.Key == "" {
		l.tenant = load.Tenant{Key: key, Accounts: ids}
	}
	h := &history{business: business, transfers: transfers}
	for _, id := range ids {
		account, err := models.ParseID[models.AccountPrefix](id)
		if err != nil {
			return nil, err
		}
		h.accounts = append(h.accounts, account)
	}
	return h, nil
}
