package dev

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/tenant"
)

// ensureTenant finds the demo business and a key of it that works, or makes
// them: what an operator does with `business create` and `key issue`.
func (d *stack) ensureTenant(ctx context.Context, db *database.DB) error {
	business, err := tenant.Get(ctx, db.Gorm, d.state.BusinessID)
	switch {
	case errs.Is(err, errs.NotFound):
		d.progress("Creating the demo business …")
		d.state.forgetTenant()
		return d.createTenant(ctx, db)
	case err != nil:
		return err
	case business.Status == models.BusinessSuspended:
		return fmt.Errorf("the demo business %s is suspended: start over with --reset", business.ID)
	}
	works, err := keyWorks(ctx, db, d.state)
	if err != nil || works {
		return err
	}
	return d.replaceKey(ctx, db)
}

func (d *stack) createTenant(ctx context.Context, db *database.DB) error {
	err := db.InTx(ctx, func(tx *gorm.DB) error {
		business, err := tenant.Create(ctx, tx, audit.Operator(d.Operator), tenant.New{Name: "Demo Business"})
		if err != nil {
			return err
		}
		d.state.BusinessID = business.ID
		return d.issueKey(ctx, tx)
	})
	if err != nil {
		return err
	}
	return d.state.save()
}

func (d *stack) replaceKey(ctx context.Context, db *database.DB) error {
	d.progress("The key of the demo works no more: issuing another …")
	if err := db.InTx(ctx, func(tx *gorm.DB) error { return d.issueKey(ctx, tx) }); err != nil {
		return err
	}
	return d.state.save()
}

func (d *stack) issueKey(ctx context.Context, tx *gorm.DB) error {
	issued, err := apikey.Issue(ctx, tx, audit.Operator(d.Operator), d.state.BusinessID,
		apikey.New{Name: "txnctl dev", Scopes: apikey.AllScopes()})
	d.state.KeyID, d.state.APIKey = issued.Key.ID, issued.Secret
	return err
}

// keyWorks reports whether nobody has revoked or rotated the key of the demo.
func keyWorks(ctx context.Context, db *database.DB, s *state) (bool, error) {
	key, err := apikey.Get(ctx, db.Gorm, s.BusinessID, s.KeyID)
	if errs.Is(err, errs.NotFound) {
		return false, nil
	}
	return err == nil && key.RevokedAt == nil && key.ExpiresAt == nil, err
}
