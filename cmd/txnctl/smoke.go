package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"
	"gorm.io/gorm"

	"github.com/txn-service/txn/cmd/txnctl/smoke"
	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/tenant"
)

const (
	// smokeName is the business whose money is moved without a key of one's own.
	smokeName = "txnctl smoke"
	// smokeKeyLife ends its key even where nobody could revoke it.
	smokeKeyLife = 10 * time.Minute
	// smokeRevoke bounds the revocation after an interrupt.
	smokeRevoke = 5 * time.Second
)

var smokeView = view[smoke.Result]{
	shape: func(r smoke.Result) any { return r },
	columns: []column[smoke.Result]{
		{title: "CREDIT", cell: func(r smoke.Result) string { return r.Credit }},
		{title: "TRANSFER", cell: func(r smoke.Result) string { return r.Transfer }},
		{title: "DEBIT", cell: func(r smoke.Result) string { return r.Debit }},
	},
}

func newSmoke(s *session) *cobra.Command {
	var options smoke.Options
	cmd := &cobra.Command{
		Use: "smoke --url URL", Short: "Move money through a running API and back",
		Long: `Move money through a running API and back: a credit, a transfer that is sent
twice, a debit. What the API answers is checked at each step, and the accounts
end as they began.

With an API key in TXN_API_KEY (scopes accounts:read, accounts:write and
transactions:write) that is all it needs. Without, it issues itself a key in the
database, for a business of its own, and revokes it at the end.`,
		Example: `  txnctl smoke --url http://localhost:8080
  TXN_API_KEY=txn_… txnctl smoke --url https://txn.example.com -o json`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.Key = os.Getenv("TXN_API_KEY"); options.Key != "" {
				return s.smoke(cmd.Context(), options)
			}
			return s.withDB(cmd.Context(), func(db *database.DB) error {
				return withSmokeKey(cmd.Context(), db, s.operator(), func(key string) error {
					options.Key = key
					return s.smoke(cmd.Context(), options)
				})
			})
		},
	}
	cmd.Flags().StringVar(&options.URL, "url", "", "`address` of the API (required)")
	cmd.Flags().DurationVar(&options.Wait, "wait", time.Minute, "how long the API may take to become ready")
	requireFlags(cmd, "url")
	return cmd
}

func (s *session) smoke(ctx context.Context, options smoke.Options) error {
	result, err := smoke.Run(ctx, options)
	if err != nil {
		return err
	}
	return printOne(s, smokeView, result)
}

// withSmokeKey runs do with a key that no longer works afterwards.
func withSmokeKey(ctx context.Context, db *database.DB, actor audit.Actor, do func(key string) error) (err error) {
	business, err := findSmokeBusiness(ctx, db.Gorm)
	if err != nil {
		return err
	}
	var issued apikey.Issued
	err = db.InTx(ctx, func(tx *gorm.DB) (err error) {
		if business.IsZero() {
			made, err := tenant.Create(ctx, tx, actor, tenant.New{Name: smokeName})
			if err != nil {
				return err
			}
			business = made.ID
		}
		end := database.Now().Add(smokeKeyLife)
		issued, err = apikey.Issue(ctx, tx, actor, business, apikey.New{
			Name: smokeName, ExpiresAt: &end,
			Scopes: []apikey.Scope{apikey.AccountsRead, apikey.AccountsWrite, apikey.TransactionsWrite},
		})
		return err
	})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), smokeRevoke)
		defer cancel()
		err = errors.Join(err, revokeSmokeKey(ctx, db, actor, issued.Key))
	}()
	return do(issued.Secret)
}

func revokeSmokeKey(ctx context.Context, db *database.DB, actor audit.Actor, key models.APIKey) error {
	return db.InTx(ctx, func(tx *gorm.DB) error {
		_, err := apikey.Revoke(ctx, tx, actor, key.BusinessID, key.ID)
		return err
	})
}

// findSmokeBusiness returns the business of earlier runs, the zero id when there
// is none.
func findSmokeBusiness(ctx context.Context, db *gorm.DB) (models.BusinessID, error) {
	var filter tenant.Filter
	for {
		businesses, more, err := tenant.List(ctx, db, filter)
		if err != nil {
			return models.BusinessID{}, err
		}
		for _, business := range businesses {
			if business.Name == smokeName {
				return business.ID, nil
			}
			filter.After = business.ID
		}
		if !more {
			return models.BusinessID{}, nil
		}
	}
}
