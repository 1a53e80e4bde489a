package audit

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// MaxPage bounds a page of List.
const MaxPage = 200

// Filter narrows a List; its zero value matches everything.
type Filter struct {
	Business models.BusinessID
	Actor    Actor
	Action   Action
	Target   string
	// Since is inclusive, Until exclusive.
	Since, Until time.Time
	// After continues behind the entry with this id, which is older than it.
	After int64
	// Limit is the size of the page, at most and by default MaxPage.
	Limit int
}

// List returns a page of entries, the newest first, and whether more follow.
func List(ctx context.Context, db *gorm.DB, filter Filter) (entries []models.AuditEntry, more bool, err error) {
	limit := filter.Limit
	if limit < 1 || limit > MaxPage {
		limit = MaxPage
	}
	if err := filter.apply(db.WithContext(ctx)).Order("id DESC").Limit(limit + 1).Find(&entries).Error; err != nil {
		return nil, false, database.Coded(err)
	}
	if len(entries) > limit {
		return entries[:limit], true, nil
	}
	return entries, false, nil
}

func (f Filter) apply(query *gorm.DB) *gorm.DB {
	if !f.Business.IsZero() {
		query = query.Where("business_id = ?", f.Business)
	}
	if f.Actor != "" {
		query = query.Where("actor = ?", string(f.Actor))
	}
	if f.Action != "" {
		query = query.Where("action = ?", string(f.Action))
	}
	if f.Target != "" {
		query = query.Where("target = ?", f.Target)
	}
	if !f.Since.IsZero() {
		query = query.Where("created_at >= ?", f.Since)
	}
	if !f.Until.IsZero() {
		query = query.Where("created_at < ?", f.Until)
	}
	if f.After != 0 {
		query = query.Where("id < ?", f.After)
	}
	return query
}
