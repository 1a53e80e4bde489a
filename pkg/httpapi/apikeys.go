package httpapi

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/idempotency"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

const (
	scopeIssueKey  models.IdempotencyScope = "api_key.issue"
	scopeRotateKey models.IdempotencyScope = "api_key.rotate"
)

// newAPIKey is the body of POST /v1/api-keys.
type newAPIKey struct {
	Keyed
	Name string `json:"name"`
	// Scopes defaults to all but keys:manage.
	Scopes *texts `json:"scopes"`
	// ExpiresAt defaults to never.
	ExpiresAt *string `json:"expires_at"`
}

func (b *newAPIKey) fields() (apikey.New, error) {
	fields := apikey.New{Name: b.Name}
	if b.Scopes != nil && len(*b.Scopes) == 0 {
		return fields, errs.Invalid("scopes", "must name at least one scope; leave it out for all but keys:manage")
	}
	var err error
	if fields.Scopes, err = apikey.ParseScopes(orZero(b.Scopes)); err != nil {
		return fields, err
	}
	fields.ExpiresAt, err = parseTime("expires_at", b.ExpiresAt)
	return fields, err
}

// issueKey answers POST /v1/api-keys. The key is in the first answer only.
func (a *API) issueKey(c *gin.Context) error {
	var body newAPIKey
	if err := decode(c, &body); err != nil {
		return err
	}
	return a.once(c, scopeIssueKey, &body, func(tx *gorm.DB) (idempotency.Answer, error) {
		fields, err := body.fields()
		if err != nil {
			return idempotency.Answer{}, err
		}
		issued, err := apikey.Issue(c.Request.Context(), tx, actorOf(c), businessOf(c), fields)
		if err != nil {
			return idempotency.Answer{}, err
		}
		return answerKey(http.StatusCreated, issued)
	})
}

// answerKey shows a new key, to repetitions without the key itself.
func answerKey(status int, issued apikey.Issued) (idempotency.Answer, error) {
	stored := wire.NewAPIKey(issued.Key)
	shown := stored
	shown.Key = issued.Secret
	return answerSecretly(status, shown, stored)
}

// listKeys answers GET /v1/api-keys, those that work no more included.
func (a *API) listKeys(c *gin.Context) error {
	q := newQuery(c.Request)
	p, after := pageByID[models.APIKeyPrefix](q, "api-keys")
	if err := q.Err(); err != nil {
		return err
	}
	rows, more, err := apikey.List(c.Request.Context(), a.DB.Gorm, businessOf(c), apikey.Filter{After: orZero(after), Limit: p.Limit})
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, newPage(p, rows, more, wire.NewAPIKey, func(k models.APIKey) []byte { return positionID(k.ID) }))
}

// showKey answers GET /v1/api-keys/{id}.
func (a *API) showKey(c *gin.Context) error {
	id, err := pathID[models.APIKeyPrefix](c, "id")
	if err != nil {
		return err
	}
	key, err := apikey.Get(c.Request.Context(), a.DB.Gorm, businessOf(c), id)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, wire.NewAPIKey(key))
}

// keyRotation is the body of POST /v1/api-keys/{id}/rotate; it may be left out.
type keyRotation struct {
	Keyed
	// GracePeriodSeconds is how long the old key goes on working. Defaults to a day.
	GracePeriodSeconds *int `json:"grace_period_seconds"`
}

func (b *keyRotation) grace() (time.Duration, error) {
	if b.GracePeriodSeconds == nil {
		return apikey.DefaultGrace, nil
	}
	const most = int(apikey.MaxGrace / time.Second)
	if *b.GracePeriodSeconds < 0 || *b.GracePeriodSeconds > most {
		return 0, errs.Invalid("grace_period_seconds", "must be from 0 to %d", most)
	}
	return time.Duration(*b.GracePeriodSeconds) * time.Second, nil
}

// rotateKey answers POST /v1/api-keys/{id}/rotate with the new key, which is in
// the first answer only.
func (a *API) rotateKey(c *gin.Context) error {
	id, err := pathID[models.APIKeyPrefix](c, "id")
	if err != nil {
		return err
	}
	var body keyRotation
	if err := decodeOptional(c, &body); err != nil {
		return err
	}
	return a.once(c, scopeRotateKey, &body, func(tx *gorm.DB) (idempotency.Answer, error) {
		grace, err := body.grace()
		if err != nil {
			return idempotency.Answer{}, err
		}
		issued, err := apikey.Rotate(c.Request.Context(), tx, actorOf(c), businessOf(c), id, grace)
		if err != nil {
			return idempotency.Answer{}, err
		}
		return answerKey(http.StatusOK, issued)
	}, id.String())
}

// revokeKey answers DELETE /v1/api-keys/{id}. The key stays in the list.
func (a *API) revokeKey(c *gin.Context) error {
	id, err := pathID[models.APIKeyPrefix](c, "id")
	if err != nil {
		return err
	}
	err = a.DB.InTx(c.Request.Context(), func(tx *gorm.DB) error {
		_, err := apikey.Revoke(c.Request.Context(), tx, actorOf(c), businessOf(c), id)
		return err
	})
	if err != nil {
		return err
	}
	return respondNothing(c)
}
