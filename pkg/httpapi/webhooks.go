package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/idempotency"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
	"github.com/txn-service/txn/pkg/wire"
)

const scopeCreateWebhook models.IdempotencyScope = "webhook.create"

// newWebhook is the body of POST /v1/webhooks.
type newWebhook struct {
	Keyed
	URL string `json:"url"`
	// EventTypes defaults to all.
	EventTypes     *texts  `json:"event_types"`
	Description    *string `json:"description"`
	Ordered        bool    `json:"ordered"`
	MaxConcurrency *int    `json:"max_concurrency"`
	RateLimit      *int    `json:"rate_limit"`
	Headers        pairs   `json:"headers"`
	Metadata       pairs   `json:"metadata"`
}

func (b *newWebhook) fields() (webhook.Fields, error) {
	fields := webhook.Fields{
		URL: b.URL, EventTypes: []string{"*"}, Description: b.Description, Ordered: b.Ordered,
		RateLimit: b.RateLimit, Headers: map[string]string(b.Headers), Metadata: map[string]string(b.Metadata),
	}
	if b.EventTypes != nil {
		fields.EventTypes = *b.EventTypes
	}
	if b.MaxConcurrency != nil {
		if fields.MaxConcurrency = *b.MaxConcurrency; fields.MaxConcurrency == 0 {
			return fields, errs.Invalid("max_concurrency", "must be from 1 to %d", webhook.MaxConcurrency)
		}
	}
	return fields, nil
}

// createWebhook answers POST /v1/webhooks. The secret is in the first answer only.
func (a *API) createWebhook(c *gin.Context) error {
	var body newWebhook
	if err := decode(c, &body); err != nil {
		return err
	}
	return a.once(c, scopeCreateWebhook, &body, func(tx *gorm.DB) (idempotency.Answer, error) {
		fields, err := body.fields()
		if err != nil {
			return idempotency.Answer{}, err
		}
		row, secret, err := a.Webhooks.For(actorOf(c)).Create(tx, businessOf(c), fields)
		if err != nil {
			return idempotency.Answer{}, err
		}
		stored := wire.NewWebhook(row)
		shown := stored
		shown.Secret = secret
		return answerSecretly(http.StatusCreated, shown, stored)
	})
}

// listWebhooks answers GET /v1/webhooks.
func (a *API) listWebhooks(c *gin.Context) error {
	q := newQuery(c.Request)
	p, after := pageByID[models.WebhookPrefix](q, "webhooks")
	if err := q.Err(); err != nil {
		return err
	}
	rows, err := a.Webhooks.List(a.DB.Gorm.WithContext(c.Request.Context()), businessOf(c), orZero(after), p.Limit+1)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, newList(p, rows, wire.NewWebhook, func(w models.Webhook) []byte { return positionID(w.ID) }))
}

// showWebhook answers GET /v1/webhooks/{id}, with its health.
func (a *API) showWebhook(c *gin.Context) error {
	id, err := pathID[models.WebhookPrefix](c, "id")
	if err != nil {
		return err
	}
	db := a.DB.Gorm.WithContext(c.Request.Context())
	row, err := a.Webhooks.Get(db, businessOf(c), id)
	if err != nil {
		return err
	}
	health, err := webhook.ReadHealth(db, businessOf(c), id)
	if err != nil {
		return err
	}
	shape := wire.NewWebhook(row)
	shape.Health = &health
	return respond(c, http.StatusOK, shape)
}

// webhookChange is the body of PATCH /v1/webhooks/{id}.
type webhookChange struct {
	URL            required[string]               `json:"url,omitzero"`
	EventTypes     required[texts]                `json:"event_types,omitzero"`
	Description    optional[string]               `json:"description,omitzero"`
	Status         required[models.WebhookStatus] `json:"status,omitzero"`
	Ordered        required[bool]                 `json:"ordered,omitzero"`
	MaxConcurrency required[int]                  `json:"max_concurrency,omitzero"`
	RateLimit      optional[int]                  `json:"rate_limit,omitzero"`
	Headers        optional[pairs]                `json:"headers,omitzero"`
	Metadata       optional[pairs]                `json:"metadata,omitzero"`
}

func (b *webhookChange) patch() webhook.Patch {
	patch := webhook.Patch{
		URL: b.URL.Value, EventTypes: (*[]string)(b.EventTypes.Value), Status: b.Status.Value,
		Ordered: b.Ordered.Value, MaxConcurrency: b.MaxConcurrency.Value,
	}
	if b.Description.Given {
		patch.Description = &b.Description.Value
	}
	if b.RateLimit.Given {
		patch.RateLimit = &b.RateLimit.Value
	}
	if b.Headers.Given {
		headers := map[string]string(orZero(b.Headers.Value))
		patch.Headers = &headers
	}
	if b.Metadata.Given {
		metadata := map[string]string(orZero(b.Metadata.Value))
		patch.Metadata = &metadata
	}
	return patch
}

// updateWebhook answers PATCH /v1/webhooks/{id}.
func (a *API) updateWebhook(c *gin.Context) error {
	id, err := pathID[models.WebhookPrefix](c, "id")
	if err != nil {
		return err
	}
	var body webhookChange
	if err := decode(c, &body); err != nil {
		return err
	}
	var row models.Webhook
	err = a.DB.InTx(c.Request.Context(), func(tx *gorm.DB) error {
		row, err = a.Webhooks.For(actorOf(c)).Update(tx, businessOf(c), id, body.patch())
		return err
	})
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, wire.NewWebhook(row))
}

// deleteWebhook answers DELETE /v1/webhooks/{id}.
func (a *API) deleteWebhook(c *gin.Context) error {
	id, err := pathID[models.WebhookPrefix](c, "id")
	if err != nil {
		return err
	}
	err = a.DB.InTx(c.Request.Context(), func(tx *gorm.DB) error {
		return a.Webhooks.For(actorOf(c)).Delete(tx, businessOf(c), id)
	})
	if err != nil {
		return err
	}
	return respondNothing(c)
}
