package webhook

import (
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// DeliveryRow is a delivery with the type of its event, empty when the event has
// been deleted.
type DeliveryRow struct {
	models.Delivery
	EventType models.EventType
}

// DeliveryFilter narrows a list of deliveries; zero fields do not.
type DeliveryFilter struct {
	Status    models.DeliveryStatus
	WebhookID models.WebhookID
	EventType models.EventType
	// Since leaves out deliveries of events created before.
	Since time.Time
}

// A left join: retention deletes events before deliveries.
const deliverySQL = `SELECT d.*, e.type AS event_type FROM webhook_deliveries d
LEFT JOIN webhook_events e ON e.business_id = d.business_id AND e.id = d.event_id
WHERE d.business_id = ?`

// clockSlack is more than the clocks of two machines differ.
const clockSlack = time.Hour

// statusSQL spells the states out: a parameter would hide the partial indexes
// from a generic plan.
var statusSQL = map[models.DeliveryStatus]string{
	models.DeliveryPending:   ` AND d.status = 'pending'`,
	models.DeliveryDelivered: ` AND d.status = 'delivered'`,
	models.DeliveryFailed:    ` AND d.status = 'failed'`,
}

// ListDeliveries returns up to limit deliveries, newest first, that come after
// the one given (zero: from the start).
func ListDeliveries(db *gorm.DB, business models.BusinessID, filter DeliveryFilter, after models.DeliveryID, limit int) ([]DeliveryRow, error) {
	return listDeliveries(db, business, filter, "d.id", idOrNil(after), limit)
}

// ListWebhookDeliveries is ListDeliveries for filter.WebhookID, in the order of
// its events, which is that of its index; after is an event accordingly.
func ListWebhookDeliveries(db *gorm.DB, business models.BusinessID, filter DeliveryFilter, after models.EventID, limit int) ([]DeliveryRow, error) {
	return listDeliveries(db, business, filter, "d.event_id", idOrNil(after), limit)
}

func listDeliveries(db *gorm.DB, business models.BusinessID, filter DeliveryFilter, order string, after any, limit int) ([]DeliveryRow, error) {
	sql, args := deliverySQL+statusSQL[filter.Status], []any{business}
	if !filter.WebhookID.IsZero() {
		sql, args = sql+` AND d.webhook_id = ?`, append(args, filter.WebhookID)
	}
	if filter.EventType != "" {
		sql, args = sql+` AND e.type = ?`, append(args, filter.EventType)
	}
	if filter.Since.Unix() > 0 {
		sql, args = sql+` AND d.event_id >= ?`, append(args, models.FirstIDAt[models.EventPrefix](filter.Since))
		if filter.WebhookID.IsZero() {
			// A delivery is made after its event: this bounds the walk, with room for
			// the difference of two clocks.
			sql, args = sql+` AND d.id >= ?`, append(args, models.FirstIDAt[models.DeliveryPrefix](filter.Since.Add(-clockSlack)))
		}
	}
	if after != nil {
		sql, args = sql+` AND `+order+` < ?`, append(args, after)
	}
	var rows []DeliveryRow
	err := db.Raw(sql+` ORDER BY `+order+` DESC LIMIT ?`, append(args, limit)...).Scan(&rows).Error
	return rows, database.Coded(err)
}

// maxAttempts bounds the attempts shown with a delivery, the newest kept.
const maxAttempts = 100

// GetDelivery returns a delivery with up to 100 of its attempts, oldest first.
// NotFound for one that is unknown or another business's.
func GetDelivery(db *gorm.DB, business models.BusinessID, id models.DeliveryID) (DeliveryRow, []models.Attempt, error) {
	var row DeliveryRow
	err := db.Raw(deliverySQL+` AND d.id = ?`, business, id).Scan(&row).Error
	if err != nil {
		return row, nil, database.Coded(err)
	}
	if row.ID.IsZero() {
		return row, nil, errs.New(errs.NotFound, "no such delivery")
	}
	var attempts []models.Attempt
	err = db.Raw(`SELECT * FROM (SELECT * FROM webhook_attempts WHERE business_id = ? AND delivery_id = ?
		ORDER BY number DESC LIMIT ?) newest ORDER BY number`, business, id, maxAttempts).Scan(&attempts).Error
	return row, attempts, database.Coded(err)
}

// ListEvents returns up to limit events, newest first, that come after the one
// given (zero: from the start); kind narrows them to one type unless it is empty.
func ListEvents(db *gorm.DB, business models.BusinessID, kind models.EventType, after models.EventID, limit int) ([]models.Event, error) {
	query := db.Where("business_id = ?", business)
	if kind != "" {
		query = query.Where("type = ?", kind)
	}
	if !after.IsZero() {
		query = query.Where("id < ?", after)
	}
	var rows []models.Event
	err := query.Order("id DESC").Limit(limit).Find(&rows).Error
	return rows, database.Coded(err)
}

// GetEvent returns an event, NotFound for one that is unknown or another
// business's.
func GetEvent(db *gorm.DB, business models.BusinessID, id models.EventID) (models.Event, error) {
	var row models.Event
	err := db.Where("business_id = ? AND id = ?", business, id).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return row, errs.New(errs.NotFound, "no such event")
	}
	return row, database.Coded(err)
}

func idOrNil[P models.Prefix](id models.ID[P]) any {
	if id.IsZero() {
		return nil
	}
	return id
}
