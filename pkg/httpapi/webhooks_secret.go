package httpapi

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/idempotency"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
	"github.com/txn-service/txn/pkg/wire"
)

const scopeRotateSecret models.IdempotencyScope = "webhook.rotate_secret" //nolint:gosec // G101: the name of an operation

// secretRotation is the body of POST /v1/webhooks/{id}/rotate-secret; it may be
// left out.
type secretRotation struct {
	Keyed
	// GracePeriodSeconds is how long the former secret signs as well. Defaults to a
	// day.
	GracePeriodSeconds *int `json:"grace_period_seconds"`
}

func (b *secretRotation) grace() time.Duration {
	if b.GracePeriodSeconds == nil {
		return webhook.DefaultSecretGrace
	}
	// What would overflow is out of bounds either way.
	seconds := min(max(*b.GracePeriodSeconds, -1), int(webhook.MaxSecretGrace/time.Second)+1)
	return time.Duration(seconds) * time.Second
}

// rotateSecret answers POST /v1/webhooks/{id}/rotate-secret. The secret is in the
// first answer only.
func (a *API) rotateSecret(c *gin.Context) error {
	id, err := pathID[models.WebhookPrefix](c, "id")
	if err != nil {
		return err
	}
	var body secretRotation
	if err := decodeOptional(c, &body); err != nil {
		return err
	}
	return a.once(c, scopeRotateSecret, &body, func(tx *gorm.DB) (idempotency.Answer, error) {
		row, secret, err := a.Webhooks.For(actorOf(c)).RotateSecret(tx, businessOf(c), id, body.grace())
		if err != nil {
			return idempotency.Answer{}, err
		}
		stored := wire.NewWebhook(row)
		shown := stored
		shown.Secret = secret
		return answerSecretly(http.StatusOK, shown, stored)
	}, id.String())
}
