package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
	"github.com/txn-service/txn/pkg/wire"
)

// listDeliveries answers GET /v1/webhook-deliveries, newest first. Those of one
// endpoint come in the order of its events, which is a list of its own: cursors
// of one are not cursors of the other.
func (a *API) listDeliveries(c *gin.Context) error {
	q := newQuery(c.Request)
	endpoint := queryID[models.WebhookPrefix](q, "webhook_id")
	filter := webhook.DeliveryFilter{
		Status: models.DeliveryStatus(orZero(q.oneOf("status",
			string(models.DeliveryPending), string(models.DeliveryDelivered), string(models.DeliveryFailed)))),
		WebhookID: orZero(endpoint),
		EventType: queryEventType(q),
		Since:     orZero(q.time("since")),
	}
	// The all-zero id names an endpoint that there is not, unlike a filter left out.
	if endpoint == nil {
		return a.listAllDeliveries(c, q, filter)
	}
	p, after := pageByID[models.EventPrefix](q, "deliveries of "+filter.WebhookID.String())
	if err := q.Err(); err != nil {
		return err
	}
	db := a.DB.Gorm.WithContext(c.Request.Context())
	if err := webhook.Require(db, businessOf(c), filter.WebhookID); err != nil {
		return err
	}
	rows, err := webhook.ListWebhookDeliveries(db, businessOf(c), filter, orZero(after), p.Limit+1)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, newList(p, rows, shapeDelivery, func(d webhook.DeliveryRow) []byte { return positionID(d.EventID) }))
}

func (a *API) listAllDeliveries(c *gin.Context, q *query, filter webhook.DeliveryFilter) error {
	p, after := pageByID[models.DeliveryPrefix](q, "deliveries")
	if err := q.Err(); err != nil {
		return err
	}
	db := a.DB.Gorm.WithContext(c.Request.Context())
	rows, err := webhook.ListDeliveries(db, businessOf(c), filter, orZero(after), p.Limit+1)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, newList(p, rows, shapeDelivery, func(d webhook.DeliveryRow) []byte { return positionID(d.ID) }))
}

// showDelivery answers GET /v1/webhook-deliveries/{id}, with its attempts.
func (a *API) showDelivery(c *gin.Context) error {
	id, err := pathID[models.DeliveryPrefix](c, "id")
	if err != nil {
		return err
	}
	shape, err := a.deliveryOf(c, id)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, shape)
}

// deliveryOf returns a delivery of the caller's with its attempts.
func (a *API) deliveryOf(c *gin.Context, id models.DeliveryID) (wire.Delivery, error) {
	row, attempts, err := webhook.GetDelivery(a.DB.Gorm.WithContext(c.Request.Context()), businessOf(c), id)
	if err != nil {
		return wire.Delivery{}, err
	}
	shape := shapeDelivery(row)
	shape.Attempts = make([]wire.Attempt, len(attempts))
	for i, attempt := range attempts {
		shape.Attempts[i] = wire.NewAttempt(attempt)
	}
	return shape, nil
}

func shapeDelivery(row webhook.DeliveryRow) wire.Delivery {
	return wire.NewDelivery(row.Delivery, row.EventType)
}

// queryEventType reads the filter `event_type`, empty when it is not there.
func queryEventType(q *query) models.EventType {
	known := make([]string, len(models.EventTypes))
	for i, kind := range models.EventTypes {
		known[i] = string(kind)
	}
	return models.EventType(orZero(q.oneOf("event_type", known...)))
}
