package webhook

import (
	"context"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// Operators name a thing by its id alone, while every table leads with the
// business. The look-ups ask for it in the primary key business by business,
// which costs a probe per business instead of a scan of everybody's deliveries;
// LIMIT keeps the planner from making a join of it.
const (
	endpointOwnerSQL = `SELECT b.id FROM businesses b CROSS JOIN LATERAL (
    SELECT FROM webhooks w WHERE w.business_id = b.id AND w.id = $1 AND w.deleted_at IS NULL LIMIT 1) found`
	deliveryOwnerSQL = `SELECT b.id FROM businesses b CROSS JOIN LATERAL (
    SELECT FROM webhook_deliveries d WHERE d.business_id = b.id AND d.id = $1 LIMIT 1) found`
	eventOwnerSQL = `SELECT b.id FROM businesses b CROSS JOIN LATERAL (
    SELECT FROM webhook_events e WHERE e.business_id = b.id AND e.id = $1 LIMIT 1) found`
	replayOwnerSQL = `SELECT b.id FROM businesses b CROSS JOIN LATERAL (
    SELECT FROM webhook_replays r WHERE r.business_id = b.id AND r.id = $1 LIMIT 1) found`
)

// OwnerOf returns the business of an endpoint, for operators; NotFound for one
// that is unknown or deleted.
func OwnerOf(ctx context.Context, db *database.DB, id models.WebhookID) (models.BusinessID, error) {
	return ownerOf(ctx, db, endpointOwnerSQL, "webhook", id)
}

// OwnerOfDelivery returns the business of a delivery, for operators; NotFound for
// an unknown one.
func OwnerOfDelivery(ctx context.Context, db *database.DB, id models.DeliveryID) (models.BusinessID, error) {
	return ownerOf(ctx, db, deliveryOwnerSQL, "delivery", id)
}

// OwnerOfEvent returns the business of an event, for operators; NotFound for an
// unknown one.
func OwnerOfEvent(ctx context.Context, db *database.DB, id models.EventID) (models.BusinessID, error) {
	return ownerOf(ctx, db, eventOwnerSQL, "event", id)
}

// OwnerOfReplay returns the business of a replay, for operators; NotFound for an
// unknown one.
func OwnerOfReplay(ctx context.Context, db *database.DB, id models.ReplayID) (models.BusinessID, error) {
	return ownerOf(ctx, db, replayOwnerSQL, "replay", id)
}

func ownerOf[P models.Prefix](ctx context.Context, db *database.DB, sql, noun string, id models.ID[P]) (models.BusinessID, error) {
	var business models.BusinessID
	err := database.Coded(db.Pool.QueryRow(ctx, sql, id).Scan(&business))
	if errs.Is(err, errs.NotFound) {
		err = errs.Wrap(err, errs.NotFound, "no %s %s", noun, id)
	}
	return business, err
}
