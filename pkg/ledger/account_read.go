package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// limitWaits bounds row-lock and statement waits of a GORM transaction, and has
// it commit durably whatever the server's default.
func limitWaits(tx *gorm.DB, lock time.Duration) error {
	err := tx.Exec(`SELECT set_config('lock_timeout', ?, true), set_config('statement_timeout', '10s', true),
    set_config('synchronous_commit', 'on', true)`, fmt.Sprint(lock.Milliseconds())).Error
	if err != nil {
		return fmt.Errorf("limiting waits: %w", err)
	}
	return nil
}

// Account returns one account. Coded errors: NotFound, Unavailable.
func (l *Ledger) Account(ctx context.Context, business models.BusinessID, id models.AccountID) (models.Account, error) {
	var a models.Account
	err := l.db.Gorm.WithContext(ctx).Take(&a, "business_id = ? AND id = ?", business, id).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return a, errs.Wrap(err, errs.NotFound, "there is no account %s", id)
	}
	return a, database.Coded(err)
}

// AccountFilter narrows a list of accounts; empty fields do not.
type AccountFilter struct {
	Status    models.AccountStatus
	Currency  string
	Reference string
}

// Accounts lists accounts, newest first: up to limit of them after the id
// (exclusive; zero to start). Coded errors: Unavailable.
func (l *Ledger) Accounts(ctx context.Context, business models.BusinessID, filter AccountFilter, after models.AccountID, limit int) ([]models.Account, error) {
	query := l.db.Gorm.WithContext(ctx).Where("business_id = ?", business)
	if filter.Status != "" {
		query = query.Where("status = ?", filter.Status)
	}
	if filter.Currency != "" {
		query = query.Where("currency = ?", filter.Currency)
	}
	if filter.Reference != "" {
		query = query.Where("reference = ?", filter.Reference)
	}
	if !after.IsZero() {
		query = query.Where("id < ?", after)
	}
	var accounts []models.Account
	err := query.Order("id DESC").Limit(limit).Find(&accounts).Error
	return accounts, database.Coded(err)
}
