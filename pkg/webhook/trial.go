package webhook

import (
	"fmt"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/wire"
)

// SendTest enqueues a webhook.test event for one endpoint alone, with the endpoint
// itself as its data and whatever event types the endpoint has. It is delivered,
// retried and logged like any other, ahead of what is pending unless the endpoint is
// ordered, and is the probe of an open breaker. A paused endpoint gets it when it is
// resumed. tx must be a transaction.
//
// NotFound as for Get, InvalidState for a disabled endpoint, which gets nothing.
func (s *Store) SendTest(tx *gorm.DB, business models.BusinessID, id models.WebhookID) (DeliveryRow, error) {
	var row models.Webhook
	// Until the transaction ends, nobody disables or deletes the endpoint.
	err := tx.Raw(`SELECT * FROM webhooks WHERE business_id = ? AND id = ? AND deleted_at IS NULL FOR SHARE`, business, id).Scan(&row).Error
	switch {
	case err != nil:
		return DeliveryRow{}, database.Coded(fmt.Errorf("testing a webhook: %w", err))
	case row.ID.IsZero():
		return DeliveryRow{}, errs.New(errs.NotFound, "no such webhook")
	case row.Status == models.WebhookDisabled:
		return DeliveryRow{}, errs.New(errs.InvalidState, "the webhook is disabled: enable it first")
	}
	event, err := wire.NewEvent(business, models.EventWebhookTest, database.Now(), wire.NewPublishedWebhook(row))
	if err != nil {
		return DeliveryRow{}, err
	}
	delivery, err := outbox.AppendDirect(tx, event, id)
	if err != nil {
		return DeliveryRow{}, database.Coded(err)
	}
	sent, _, err := GetDelivery(tx, business, delivery)
	return sent, err
}

// attemptedSQL is what a waiting request asks again and again: two look-ups by
// primary key.
const attemptedSQL = `SELECT d.status <> 'pending' OR d.attempt_count > 0 OR w.status <> 'active' OR w.deleted_at IS NOT NULL
FROM webhook_deliveries d JOIN webhooks w ON w.business_id = d.business_id AND w.id = d.webhook_id
WHERE d.business_id = ? AND d.id = ?`

// Attempted reports whether waiting for a delivery's first attempt is over: it has
// been made, the delivery has ended or is gone, or the endpoint is not active.
func Attempted(db *gorm.DB, business models.BusinessID, id models.DeliveryID) (bool, error) {
	over := true
	err := db.Raw(attemptedSQL, business, id).Scan(&over).Error
	return over, database.Coded(err)
}
