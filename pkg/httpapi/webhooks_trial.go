package httpapi

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/idempotency"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

const scopeTestWebhook models.IdempotencyScope = "webhook.test"

// testPatience is how long a test waits for its attempt; the request as a whole has
// requestTimeout.
const testPatience = 10 * time.Second

// testWebhook answers POST /v1/webhooks/{id}/test with the delivery as it is after
// its first attempt, or as it is when patience ends. Repetitions wait for the same
// delivery and show it as it is then.
func (a *API) testWebhook(c *gin.Context) error {
	id, err := pathID[models.WebhookPrefix](c, "id")
	if err != nil {
		return err
	}
	var body Keyed
	if err := decodeOptional(c, &body); err != nil {
		return err
	}
	stored, err := a.doOnce(c, scopeTestWebhook, &body, func(tx *gorm.DB) (idempotency.Answer, error) {
		row, err := a.Webhooks.SendTest(tx, businessOf(c), id)
		if err != nil {
			return idempotency.Answer{}, err
		}
		return answer(http.StatusOK, shapeDelivery(row))
	}, id.String())
	if err != nil {
		return err
	}
	var sent struct {
		ID models.DeliveryID `json:"id"`
	}
	if err := json.Unmarshal(stored.Body, &sent); err != nil {
		return err
	}
	ctx, business := c.Request.Context(), businessOf(c)
	db := a.DB.Gorm.WithContext(ctx)
	err = a.waiters.until(ctx, business, testPatience, func() (bool, error) { return webhook.Attempted(db, business, sent.ID) })
	if err != nil {
		return err
	}
	shape, err := a.deliveryOf(c, sent.ID)
	if errs.Is(err, errs.NotFound) {
		return respondEncoded(c, stored.Status, stored.Body) // older than what is kept
	}
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, shape)
}
