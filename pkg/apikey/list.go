package apikey

import (
	"context"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// MaxPage bounds a page of List.
const MaxPage = 200

// Filter narrows a List; its zero value matches every key of the business.
type Filter struct {
	// Working leaves out keys that are revoked or have expired.
	Working bool
	// After continues behind this key, which is older than it.
	After models.APIKeyID
	// Limit is the size of the page, at most and by default MaxPage.
	Limit int
}

// List returns a page of a business's keys, the newest first, and whether more
// follow.
func List(ctx context.Context, db *gorm.DB, business models.BusinessID, filter Filter) (keys []models.APIKey, more bool, err error) {
	limit := filter.Limit
	if limit < 1 || limit > MaxPage {
		limit = MaxPage
	}
	query := db.WithContext(ctx).Where("business_id = ?", business)
	if filter.Working {
		query = query.Where("revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())")
	}
	if !filter.After.IsZero() {
		query = query.Where("id < ?", filter.After)
	}
	// Ids are UUIDv7: their order is the order of creation.
	if err := query.Order("id DESC").Limit(limit + 1).Find(&keys).Error; err != nil {
		return nil, false, database.Coded(err)
	}
	if len(keys) > limit {
		return keys[:limit], true, nil
	}
	return keys, false, nil
}

// Get returns a key of a business, or errs.NotFound.
func Get(ctx context.Context, db *gorm.DB, business models.BusinessID, id models.APIKeyID) (models.APIKey, error) {
	var key models.APIKey
	err := db.WithContext(ctx).Where("business_id = ? AND id = ?", business, id).Take(&key).Error
	return key, describe(err, id)
}

// OwnerOf returns the business that a key belongs to, or errs.NotFound. It
// crosses tenants, reads the whole table, and is for operators, who name a key by
// its id alone.
func OwnerOf(ctx context.Context, db *gorm.DB, id models.APIKeyID) (models.BusinessID, error) {
	var key models.APIKey
	err := db.WithContext(ctx).Select("business_id").Where("id = ?", id).Take(&key).Error
	return key.BusinessID, describe(err, id)
}
