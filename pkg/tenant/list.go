package tenant

import (
	"context"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// MaxPage bounds a page of List.
const MaxPage = 200

// Filter narrows a List; its zero value matches every business.
type Filter struct {
	Status models.BusinessStatus
	// After continues behind this business, which is older than it.
	After models.BusinessID
	// Limit is the size of the page, at most and by default MaxPage.
	Limit int
}

// List returns a page of businesses, the newest first, and whether more follow.
// It crosses tenants: only operators may see its answer.
func List(ctx context.Context, db *gorm.DB, filter Filter) (businesses []models.Business, more bool, err error) {
	limit := filter.Limit
	if limit < 1 || limit > MaxPage {
		limit = MaxPage
	}
	query := db.WithContext(ctx)
	if filter.Status != "" {
		query = query.Where("status = ?", filter.Status)
	}
	if !filter.After.IsZero() {
		query = query.Where("id < ?", filter.After)
	}
	// Ids are UUIDv7: their order is the order of creation.
	if err := query.Order("id DESC").Limit(limit + 1).Find(&businesses).Error; err != nil {
		return nil, false, database.Coded(err)
	}
	if len(businesses) > limit {
		return businesses[:limit], true, nil
	}
	return businesses, false, nil
}
