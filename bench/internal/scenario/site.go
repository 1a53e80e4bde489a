package scenario

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/stack"
	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/tenant"
	"github.com/txn-service/txn/pkg/webhook"
)

const (
	currency = "USD"
	// funds of every account, in minor units: no run can spend them.
	funds         = 1_000_000_000_000
	fundingClient = 16 // requests at once while funding
)

var operator = audit.Operator("bench")

// site is a database with tenants, and this program's own connections to it.
type site struct {
	name     string
	url      string
	db       *database.DB
	webhooks *webhook.Store
	receiver *load.Receiver
	api      *stack.Service // nil until it is started
}

// newSite makes a database.
func (b *Bench) newSite(ctx context.Context, name string) (*site, error) {
	url, err := b.stack.CreateDatabase(ctx, name)
	if err != nil {
		return nil, err
	}
	db, err := database.Open(ctx, database.Options{URL: url, MaxOpenConns: 4, ApplicationName: "txn-bench"})
	if err != nil {
		return nil, err
	}
	keyring, err := webhook.NewKeyring([][]byte{stack.EncryptionKey})
	if err != nil {
		return nil, errors.Join(err, b.drop(ctx, &site{name: name, db: db}))
	}
	store := webhook.NewStore(webhook.Options{Keyring: keyring, AllowInsecure: true})
	return &site{name: name, url: url, db: db, webhooks: store, receiver: b.receiver}, nil
}

// drop removes the site's database.
func (b *Bench) drop(ctx context.Context, s *site) error {
	s.db.Close()
	return b.stack.DropDatabase(context.WithoutCancel(ctx), s.name)
}

// business makes a business with an endpoint that is subscribed to everything.
func (s *site) business(ctx context.Context, maxConcurrency int) (models.BusinessID, string, error) {
	var id models.BusinessID
	var key string
	err := s.db.InTx(ctx, func(tx *gorm.DB) error {
		business, err := tenant.Create(ctx, tx, operator, tenant.New{Name: "Benchmark", DefaultCurrency: currency})
		if err != nil {
			return err
		}
		issued, err := apikey.Issue(ctx, tx, operator, business.ID, apikey.New{Name: "bench"})
		if err != nil {
			return err
		}
		id, key = business.ID, issued.Secret
		_, _, err = s.webhooks.Create(tx, id, webhook.Fields{
			URL: s.receiver.URL() + "/" + id.String(), EventTypes: []string{"*"}, MaxConcurrency: maxConcurrency,
		})
		return err
	})
	return id, key, err
}

// tenant makes a business with an endpoint and funded accounts. Funding goes
// through the API.
func (s *site) tenant(ctx context.Context, api *stack.Service, accounts int) (load.Tenant, error) {
	id, key, err := s.business(ctx, 0)
	if err != nil {
		return load.Tenant{}, fmt.Errorf("making a business: %w", err)
	}
	made := load.Tenant{Key: key}
	err = s.db.InTx(ctx, func(tx *gorm.DB) error {
		made.Accounts = made.Accounts[:0]
		for i := range accounts {
			account, err := ledger.CreateAccount(tx, id, ledger.NewAccount{
				Name: "Account " + strconv.Itoa(i+1), Currency: currency, OverdraftLimit: new(int64),
			})
			if err != nil {
				return err
			}
			made.Accounts = append(made.Accounts, account.ID.String())
		}
		return nil
	})
	if err != nil {
		return load.Tenant{}, fmt.Errorf("making accounts: %w", err)
	}
	return made, fund(ctx, api, made)
}

func fund(ctx context.Context, api *stack.Service, t load.Tenant) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fundingClient)
	for _, account := range t.Accounts {
		group.Go(func() error {
			return post(ctx, api.URL+"/v1/transactions", t.Key, newTransaction{
				Type: "credit", Destination: account, Amount: funds,
			})
		})
	}
	return group.Wait()
}

// movements returns how many entries the site's accounts have: two for each
// transfer. It reads a thousand rows instead of counting millions.
func (s *site) movements(ctx context.Context) (int64, error) {
	var versions int64
	err := s.db.Pool.QueryRow(ctx, `SELECT coalesce(sum(version), 0)::bigint FROM business_accounts`).Scan(&versions)
	return versions, err
}

// settle waits until every event so far has been delivered.
func (s *site) settle(ctx context.Context, patience time.Duration) error {
	const poll = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var left int64
		err := s.db.Pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM webhook_outbox)
			+ (SELECT count(*) FROM webhook_deliveries WHERE status = 'pending')`).Scan(&left)
		if err != nil {
			return fmt.Errorf("counting what is to be delivered: %w", err)
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d deliveries are not done after %s", left, patience)
		case <-time.After(poll):
		}
	}
}
