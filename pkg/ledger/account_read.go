package ledger

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

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
