package scenario

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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
	"github.com/txn-service/txn/pkg/outbox"
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
	cluster  *stack.Cluster
	url      string
	db       *database.DB
	webhooks *webhook.Store
	keyring  *webhook.Keyring
	receiver *load.Receiver
	api      *stack.Service // nil until it is started
}

// newSite makes a database in the cluster where everything is measured.
func (b *Bench) newSite(ctx context.Context, name string) (*site, error) {
	return b.newSiteOn(ctx, b.stack.Cluster, name)
}

func (b *Bench) newSiteOn(ctx context.Context, cluster *stack.Cluster, name string) (*site, error) {
	url, err := cluster.CreateDatabase(ctx, name)
	if err != nil {
		return nil, err
	}
	db, err := database.Open(ctx, database.Options{URL: url, MaxOpenConns: 4, ApplicationName: "txn-bench"})
	if err != nil {
		return nil, err
	}
	s := &site{name: name, cluster: cluster, url: url, db: db, receiver: b.receiver}
	if s.keyring, err = webhook.NewKeyring([][]byte{stack.EncryptionKey}); err != nil {
		return nil, errors.Join(err, s.drop(ctx))
	}
	s.webhooks = webhook.NewStore(webhook.Options{Keyring: s.keyring, AllowInsecure: true})
	return s, nil
}

// fresh is a name for a database that no other run of the scenario has.
func (b *Bench) fresh(kind string) string {
	b.databases++
	return kind + "_" + strconv.Itoa(b.databases)
}

// drop removes the site's database.
func (s *site) drop(ctx context.Context) error {
	s.db.Close()
	return s.cluster.DropDatabase(context.WithoutCancel(ctx), s.name)
}

// business makes a business without endpoints and returns a key of it.
func (s *site) business(ctx context.Context) (id models.BusinessID, key string, err error) {
	err = s.db.InTx(ctx, func(tx *gorm.DB) error {
		business, err := tenant.Create(ctx, tx, operator, tenant.New{Name: "Benchmark", DefaultCurrency: currency})
		if err != nil {
			return err
		}
		issued, err := apikey.Issue(ctx, tx, operator, business.ID, apikey.New{Name: "bench"})
		if err != nil {
			return err
		}
		id, key = business.ID, issued.Secret
		return nil
	})
	if err != nil {
		return id, key, fmt.Errorf("making a business: %w", err)
	}
	return id, key, nil
}

// endpoint makes an endpoint that is subscribed to everything; maxConcurrency 0
// means the default.
func (s *site) endpoint(ctx context.Context, business models.BusinessID, url string, maxConcurrency int) (models.WebhookID, error) {
	var id models.WebhookID
	err := s.db.InTx(ctx, func(tx *gorm.DB) error {
		made, _, err := s.webhooks.Create(tx, business, webhook.Fields{
			URL: url, EventTypes: []string{"*"}, MaxConcurrency: maxConcurrency,
		})
		id = made.ID
		return err
	})
	if err != nil {
		return id, fmt.Errorf("making an endpoint: %w", err)
	}
	return id, nil
}

// ownEndpoint is endpoint at the receiver, under a path that names the business.
func (s *site) ownEndpoint(ctx context.Context, business models.BusinessID, maxConcurrency int) error {
	_, err := s.endpoint(ctx, business, s.receiver.URL()+"/"+business.String(), maxConcurrency)
	return err
}

// tenant makes a business with an endpoint and funded accounts. Funding goes
// through the API.
func (s *site) tenant(ctx context.Context, api *stack.Service, accounts int) (load.Tenant, error) {
	id, key, err := s.business(ctx)
	if err != nil {
		return load.Tenant{}, err
	}
	if err := s.ownEndpoint(ctx, id, 0); err != nil {
		return load.Tenant{}, err
	}
	made := load.Tenant{Key: key}
	if made.Accounts, err = s.accounts(ctx, id, accounts); err != nil {
		return load.Tenant{}, err
	}
	return made, fund(ctx, api, made)
}

// accounts makes accounts without money.
func (s *site) accounts(ctx context.Context, business models.BusinessID, n int) ([]string, error) {
	var made []string
	err := s.db.InTx(ctx, func(tx *gorm.DB) error {
		made = made[:0]
		for i := range n {
			account, err := ledger.CreateAccount(tx, business, ledger.NewAccount{
				Name: "Account " + strconv.Itoa(i+1), Currency: currency, OverdraftLimit: new(int64),
			})
			if err != nil {
				return err
			}
			made = append(made, account.ID.String())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("making accounts: %w", err)
	}
	return made, nil
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
	return s.settleBut(ctx, models.WebhookID{}, patience)
}

// settleBut is settle for all endpoints but one.
func (s *site) settleBut(ctx context.Context, except models.WebhookID, patience time.Duration) error {
	const poll = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var left int64
		err := s.db.Pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM webhook_outbox)
			+ (SELECT count(*) FROM webhook_deliveries WHERE status = 'pending' AND webhook_id <> $1)`, except.UUID()).Scan(&left)
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

// requireDelivered checks that the database says what the receiver saw: this
// many deliveries ended well, and no other way.
func (s *site) requireDelivered(ctx context.Context, wanted int64) error {
	var delivered, others int64
	err := s.db.Pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE status = 'delivered'), count(*) FILTER (WHERE status <> 'delivered')
		FROM webhook_deliveries`).Scan(&delivered, &others)
	if err != nil {
		return err
	}
	if delivered != wanted || others != 0 {
		return fmt.Errorf("%w: %d of %d deliveries ended as delivered, %d did not", errLost, delivered, wanted, others)
	}
	return nil
}

// requireAllDelivered waits for every event of a site whose every event goes to
// one endpoint, and checks that all were delivered.
func (s *site) requireAllDelivered(ctx context.Context) error {
	if err := s.settle(ctx, patience); err != nil {
		return err
	}
	var events int64
	if err := s.db.Pool.QueryRow(ctx, `SELECT count(*) FROM webhook_events`).Scan(&events); err != nil {
		return err
	}
	return s.requireDelivered(ctx, events)
}

// errLost says that deliveries did not end as they should have.
var errLost = errors.New("deliveries were lost")

// fanOut empties the outbox as a dispatcher does, before there is one.
func (s *site) fanOut(ctx context.Context) error {
	dispatcher := outbox.NewDispatcher(s.db)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for part := range int16(outbox.Parts) {
		group.Go(func() error {
			for more := true; more && ctx.Err() == nil; {
				result, err := dispatcher.FanOut(ctx, part)
				if err != nil {
					return fmt.Errorf("fanning out: %w", err)
				}
				more = result.More
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// tidy leaves tables that were filled at once as ones that have been in use for
// long, and nothing for a checkpoint to do while others are measured.
func (s *site) tidy(ctx context.Context, tables ...string) error {
	statements := make([]string, 0, len(tables)+1)
	for _, table := range tables {
		statements = append(statements, "VACUUM (ANALYZE) "+table)
	}
	// Statements of their own: these stand in no transaction.
	for _, statement := range append(statements, "CHECKPOINT") {
		if _, err := s.db.Pool.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}
